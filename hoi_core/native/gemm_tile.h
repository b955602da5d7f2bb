// The register-blocked product, for an instruction set that the including file describes. It defines
//   HOI_TARGET   the attribute that lets a function use the instructions,
//   Vec          a vector of kLanes floats, with load, store, broadcast, fma and positive,
//   kRows        input rows and kVectors output vectors that are multiplied together: with the weights and one
//                broadcast they fill the registers.
// No guard: each including file gets its own copy, and no function of it is visible outside.

#include "kernels.h"

namespace hoi {
namespace {

// Left as loops, the sums would live in memory instead of registers.
#define HOI_UNROLL _Pragma("GCC unroll 32")

constexpr int kPanel = kVectors * kLanes;

// Reads ahead in the weights: bytes to ask for at each input channel.
struct Ahead {
  const char* at;
  std::int64_t step;
};

template <int R, int V>
HOI_TARGET void tile(const Gemm& job, const std::int32_t* from, const std::int32_t* to, Ahead ahead) {
  const float* in[R];
  float* out[R];
  Vec sum[R][V];
  HOI_UNROLL
  for (int r = 0; r < R; ++r) {
    in[r] = job.in + from[r] * job.in_step;
    out[r] = job.out + to[r] * job.out_step;
    HOI_UNROLL
    for (int v = 0; v < V; ++v) sum[r][v] = load(out[r] + v * kLanes);
  }
  const float* w = job.weights;
  for (int s = 0; s < job.segments; ++s) {
    for (int c = 0; c < job.channels; ++c) {
      Vec weight[V];
      HOI_UNROLL
      for (int v = 0; v < V; ++v) weight[v] = load(w + v * kLanes);
      w += V * kLanes;
      __builtin_prefetch(ahead.at, 0, 2);
      __builtin_prefetch(ahead.at + ahead.step / 2, 0, 2);
      ahead.at += ahead.step;
      HOI_UNROLL
      for (int r = 0; r < R; ++r) {
        const Vec x = broadcast(in[r] + c);
        HOI_UNROLL
        for (int v = 0; v < V; ++v) sum[r][v] = fma(x, weight[v], sum[r][v]);
      }
    }
    HOI_UNROLL
    for (int r = 0; r < R; ++r) in[r] += job.segment_step;
  }
  HOI_UNROLL
  for (int r = 0; r < R; ++r) {
    HOI_UNROLL
    for (int v = 0; v < V; ++v) store(out[r] + v * kLanes, job.relu ? positive(sum[r][v]) : sum[r][v]);
  }
}

template <int V>
HOI_TARGET void tile_of(int rows, const Gemm& job, const std::int32_t* from, const std::int32_t* to, Ahead ahead) {
  static_assert(kRows <= 6, "a case for each number of rows");
  switch (rows) {
    case 1: return tile<1, V>(job, from, to, ahead);
    case 2: return tile<2, V>(job, from, to, ahead);
    case 3: return tile<3, V>(job, from, to, ahead);
    case 4: return tile<4, V>(job, from, to, ahead);
    case 5: return tile<5, V>(job, from, to, ahead);
    default: return tile<6, V>(job, from, to, ahead);
  }
}

// Rows are shared out evenly: a last tile of one row would leave most of the multipliers idle.
template <int V>
HOI_TARGET void gemm_of(const Gemm& job) {
  const int tiles = (job.count + kRows - 1) / kRows;
  const std::int64_t steps = static_cast<std::int64_t>(job.segments) * job.channels;
  const std::int64_t bytes = steps * V * kLanes * 4;
  for (int i = 0, done = 0; i < tiles; ++i) {
    const int rows = (job.count - done) / (tiles - i);
    const char* next = reinterpret_cast<const char*>(job.weights) + bytes + i * (bytes / tiles);
    tile_of<V>(rows, job, job.from + done, job.to + done, {next, bytes / tiles / steps});
    done += rows;
  }
}

HOI_TARGET void gemm(const Gemm& job) {
  static_assert(kVectors <= 4, "a case for each number of vectors");
  switch (job.width / kLanes) {
    case 1: return gemm_of<1>(job);
    case 2: return gemm_of<2>(job);
    case 3: return gemm_of<(kVectors < 3 ? kVectors : 3)>(job);
    default: return gemm_of<kVectors>(job);
  }
}

HOI_TARGET double multiply_adds(std::int64_t rounds) {
  constexpr int kSums = kRows * kVectors;
  const float small = 1e-9F;
  const Vec factor = broadcast(&small);
  Vec sum[kSums];
  HOI_UNROLL
  for (int i = 0; i < kSums; ++i) {
    const float start = static_cast<float>(i);  // equal sums would be computed once
    sum[i] = broadcast(&start);
  }
  for (std::int64_t r = 0; r < rounds; ++r) {
    HOI_UNROLL
    for (int i = 0; i < kSums; ++i) sum[i] = fma(sum[i], factor, factor);
  }
  float seen[kLanes];
  double total = 0.0;
  HOI_UNROLL
  for (int i = 0; i < kSums; ++i) {
    store(seen, sum[i]);
    total += seen[0];
  }
  // The sums have become tiny; the compiler does not know and must compute them.
  return static_cast<double>(rounds) * kSums * kLanes + (total > 1.0 ? 1.0 : 0.0);
}

}  // namespace
}  // namespace hoi
