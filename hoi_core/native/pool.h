// A few threads that wait for work and share each piece of it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace hoi {

// One of the equal shares of some work.
struct Share {
  int index = 0, count = 1;
  int begin(int total) const { return static_cast<int>(std::int64_t{total} * index / count); }
  int end(int total) const { return static_cast<int>(std::int64_t{total} * (index + 1) / count); }
};

// What a thread does of a product of `panels` panels of weights.
struct Cut {
  Share panels, rows;
  // By panels, and so by the reading of the weights, where that is fair; else by rows.
  Cut(Share share, int all_panels) {
    (all_panels % share.count == 0 ? panels : rows) = share;
  }
};

class Pool {
 public:
  // The calling thread is one of them.
  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return static_cast<int>(others_.size()) + 1; }

  // Calls work(share) once in every thread, for as many shares as there are threads, and waits for all of them.
  template <class Work>
  void run(const Work& work) {
    start([](const void* what, Share share) { (*static_cast<const Work*>(what))(share); }, &work);
  }

 private:
  using Call = void (*)(const void* what, Share share);
  void start(Call call, const void* what);
  void serve(int index);

  Call call_ = nullptr;
  const void* what_ = nullptr;
  std::atomic<int> round_{0};      // counts pieces of work; below 0: the end
  std::atomic<int> unfinished_{0};
  std::mutex sleep_;
  std::condition_variable wake_;
  std::vector<std::thread> others_;
};

}  // namespace hoi
