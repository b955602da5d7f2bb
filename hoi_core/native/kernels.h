// The loops that cost time, once for each instruction set.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hoi {

// Features lie in rows, one per site; a row is padded to this many channels, so that it fills whole vectors.
constexpr int kRowMultiple = 16;

// out[to[i]][0..width) += sum over segments s and channels c of in[from[i]][s][c] * weights[s][c][0..width).
struct Gemm {
  const float* in = nullptr;
  const std::int32_t* from = nullptr;
  std::int64_t in_step = 0;        // floats from one number in `from` to the next
  float* out = nullptr;
  const std::int32_t* to = nullptr;
  std::int64_t out_step = 0;
  int count = 0;
  const float* weights = nullptr;
  int width = 0;                   // output channels, a multiple of `lanes`, at most `panel`
  int channels = 0;
  int segments = 1;                // runs of contiguous inputs, such as the rows of a window of an image
  std::int64_t segment_step = 0;
  bool relu = false;               // clip the sums, which are then complete
};

struct ByteKernels;

struct Kernels {
  const char* name;
  int panel;  // output channels that are computed together
  int lanes;  // numbers in a vector
  void (*gemm)(const Gemm&);
  // Multiplies and adds on registers alone for so many rounds; returns how many multiply-adds that were.
  double (*multiply_adds)(std::int64_t rounds);
  const ByteKernels* narrow_bytes;  // of the same instruction set: for weights up to `largest_weight`,
  const ByteKernels* bytes;         // and for any
};

// Kernels that this processor runs, the fastest first; the plain one, which runs anywhere, is last.
const std::vector<const Kernels*>& usable_kernels();

// The kernels of a name, or the fastest for an empty one. Throws std::invalid_argument where this processor has none.
const Kernels& kernels_named(const std::string& name);

}  // namespace hoi
