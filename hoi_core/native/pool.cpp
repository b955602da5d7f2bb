#include "pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hoi {
namespace {

// Between the layers of a frame a thread waits for some microseconds: less than it takes to fall asleep and wake up.
constexpr int kSpins = 4000;
constexpr int kEnd = -1;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

Pool::Pool(int threads) {
  for (int i = 1; i < threads; ++i) others_.emplace_back([this, i] { serve(i); });
}

Pool::~Pool() {
  {
    const std::lock_guard<std::mutex> alone(sleep_);
    round_.store(kEnd);
  }
  wake_.notify_all();
  for (std::thread& each : others_) each.join();
}

void Pool::start(Call call, const void* what) {
  const int count = threads();
  if (count > 1) {
    call_ = call;
    what_ = what;
    unfinished_.store(count - 1);
    {
      const std::lock_guard<std::mutex> alone(sleep_);
      round_.store((round_.load() + 1) & 0x3FFFFFFF);
    }
    wake_.notify_all();
  }
  call(what, {0, count});
  for (int spins = 0; unfinished_.load() > 0; ++spins) {
    if (spins < kSpins) {
      pause();
    } else {
      std::this_thread::yield();  // there are fewer processors than threads
    }
  }
}

void Pool::serve(int index) {
  int seen = 0;
  for (;;) {
    for (int spins = 0; round_.load() == seen && spins < kSpins; ++spins) pause();
    if (round_.load() == seen) {
      std::unique_lock<std::mutex> alone(sleep_);
      wake_.wait(alone, [&] { return round_.load() != seen; });
    }
    seen = round_.load();
    if (seen == kEnd) return;
    call_(what_, {index, threads()});
    unfinished_.fetch_sub(1);
  }
}

}  // namespace hoi
