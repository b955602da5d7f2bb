// The loops over 8-bit integers, once for each instruction set: what kernels.h is for floats.
#pragma once

#include "kernels.h"

namespace hoi {

// Channels are multiplied in groups of four.
constexpr int kByteGroup = 4;
// Two groups.
constexpr int kByteBlock = 2 * kByteGroup;
// With products of pairs added up in 16 bits, 2 * 255 * 64 is the largest sum that fits.
constexpr int kNarrowWeight = 64;
// Inputs are read in pieces of this many bytes; this many may be read behind the last one that counts.
constexpr int kByteChunk = 16;

// From sums to bytes, by the steps that ONNX Runtime takes: round(sum * multiplier), ties to even, between bounds,
// around a zero point. Where it is rounded again, that byte becomes one of another scale; with a residual the kept byte
// is added to it in float before.
struct Rounding {
  const float* multiplier = nullptr;    // one for each output channel
  float low = 0.0F, high = 255.0F;      // bounds before the zero point is added
  int zero = 0;
  bool again = false;
  const std::uint8_t* kept = nullptr;   // rows as of the result, or none
  const std::int32_t* kept_row = nullptr;   // which of them is added to each row; null: the one of its number
  bool kept_first = false;
  // round(own_ratio * own + (kept_ratio * kept + fixed)), the other way round if the kept one is the first summand
  float own_ratio = 1.0F, kept_ratio = 1.0F, fixed = 0.0F;
  int again_zero = 0;
};

// One row of a linear map along rows: the weighted sum of some of them, rounded. Sums are exact in float.
struct ByteMix {
  const std::uint8_t* in = nullptr;
  std::int64_t in_step = 0;
  const std::int32_t* row = nullptr;    // (count) which rows of `in`
  const float* weight = nullptr;        // (count) whole numbers
  int count = 0;
  float start = 0.0F;                   // what the sum begins with
  int width = 0;                        // channels, a multiple of `lanes`
  std::uint8_t* out = nullptr;
};

// sums[to[i]][0..width) += sum over segments s and channels c of in[from[i]][s][c] * weights[s][c][0..width).
struct ByteGemm {
  const std::uint8_t* in = nullptr;
  const std::int32_t* from = nullptr;
  std::int64_t in_step = 0;             // bytes from one number in `from` to the next
  const std::int32_t* to = nullptr;
  int count = 0;
  const std::int8_t* weights = nullptr;
  int width = 0;                        // output channels, a multiple of `lanes`, at most `panel`
  int channels = 0;                     // a multiple of kByteGroup
  // (segments, channels / kByteBlock), of whole blocks: whether what two groups add to a sum fits into 16 bits, or null.
  const std::uint8_t* fits = nullptr;
  int segments = 1;
  std::int64_t segment_step = 0;
  const std::int32_t* start = nullptr;  // what sums begin with; null: they go on from `sums`
  std::int32_t* sums = nullptr;         // (rows, panel)
  const Rounding* rounding = nullptr;   // the sums are complete: round them to `out`; null: leave them in `sums`
  std::uint8_t* out = nullptr;
  std::int64_t out_step = 0;            // bytes, of the kept rows too
  std::int16_t* widened = nullptr;      // memory for kMostRows inputs, of kernels that multiply 16-bit integers
};

constexpr int kMostRows = 6;

struct ByteKernels {
  int panel;           // output channels that are computed together
  int group;           // channels whose weights lie together, for each output channel
  int largest_weight;  // up to which sums are exact
  bool adds_blocks;    // whether it adds up blocks of channels in 16 bits where that fits
  int offset;          // taken from inputs before they are multiplied; weights come with what that takes from the sums
  void (*gemm)(const ByteGemm&);
  // Rounds sums[i] to out[i] for rows [begin, end).
  void (*round_rows)(const ByteGemm&, int begin, int end);
  // Rounds by the first multiplier alone.
  void (*mix)(const ByteMix&, const Rounding&);
  double (*multiply_adds)(std::int64_t rounds);
};

// The kernels of an instruction set that are the fastest of those exact for such weights.
const ByteKernels& byte_kernels(const Kernels& set, int largest_weight);

}  // namespace hoi
