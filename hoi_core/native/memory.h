// Aligned memory that is asked for once and kept.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace hoi {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

template <class T>
using Buffer = std::unique_ptr<T[], Free>;

// Zeroed memory for `count` numbers. Large buffers ask for huge pages: weights are read from end to end in every frame,
// and with small pages a page walk every 64 cache lines stops the processor's prefetcher.
template <class T>
Buffer<T> make_buffer(std::size_t count) {
  const std::size_t alignment = count * sizeof(T) >= kHugePage ? kHugePage : kCacheLine;
  const std::size_t bytes = (count * sizeof(T) / alignment + 1) * alignment;
  void* memory = std::aligned_alloc(alignment, bytes);
  if (memory == nullptr) throw std::bad_alloc();
#ifdef __linux__
  if (alignment == kHugePage) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  std::memset(memory, 0, bytes);
  return Buffer<T>(static_cast<T*>(memory));
}

}  // namespace hoi
