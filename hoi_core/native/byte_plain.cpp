// Plain C++: what the others are checked against, and what runs on processors that none of them knows.
#include <algorithm>
#include <cmath>

#include "byte_sets.h"

namespace hoi {
namespace {

constexpr int kPanel = 16;

void round_row(const ByteGemm& job, const std::int32_t* sums, std::int64_t row) {
  const Rounding& how = *job.rounding;
  std::uint8_t* out = job.out + row * job.out_step;
  for (int k = 0; k < job.width; ++k) {
    const float scaled = static_cast<float>(sums[k]) * how.multiplier[k];
    float byte = std::nearbyint(std::min(std::max(scaled, how.low), how.high)) + static_cast<float>(how.zero);
    if (how.kept != nullptr) {
      const float kept = std::fma(static_cast<float>(how.kept[row * job.out_step + k]), how.kept_ratio, how.fixed);
      byte = std::nearbyint(std::min(std::max(std::fma(byte, how.own_ratio, kept), 0.0F), 255.0F));
    }
    out[k] = static_cast<std::uint8_t>(byte);
  }
}

void gemm(const ByteGemm& job) {
  for (int i = 0; i < job.count; ++i) {
    std::int32_t sums[kPanel];
    std::int32_t* kept = job.sums + std::int64_t{job.to[i]} * kPanel;
    const std::int32_t* start = job.start != nullptr ? job.start : kept;
    std::copy(start, start + job.width, sums);
    const std::uint8_t* in = job.in + job.from[i] * job.in_step;
    const std::int8_t* w = job.weights;
    for (int s = 0; s < job.segments; ++s, in += job.segment_step) {
      for (int c = 0; c < job.channels; ++c, w += job.width) {
        for (int k = 0; k < job.width; ++k) sums[k] += in[c] * w[k];
      }
    }
    if (job.rounding != nullptr) {
      round_row(job, sums, job.to[i]);
    } else {
      std::copy(sums, sums + job.width, kept);
    }
  }
}

void round_rows(const ByteGemm& job, int begin, int end) {
  for (int i = begin; i < end; ++i) round_row(job, job.sums + std::int64_t{i} * kPanel, i);
}

double multiply_adds(std::int64_t rounds) {
  std::int32_t sums[kPanel] = {};
  for (std::int64_t r = 0; r < rounds; ++r) {
    for (int k = 0; k < kPanel; ++k) sums[k] += static_cast<std::uint8_t>(r) * static_cast<std::int8_t>(k);
  }
  return static_cast<double>(rounds) * kPanel + (*std::max_element(sums, sums + kPanel) < -1 ? 1.0 : 0.0);
}

}  // namespace

const ByteKernels kBytePlain = {kPanel, 1, 128, 0, gemm, round_rows, multiply_adds};

}  // namespace hoi
