// Plain C++: what the others are checked against, and what runs on processors that none of them knows.
#include <algorithm>
#include <cmath>

#include "byte_sets.h"

namespace hoi {
namespace {

constexpr int kPanel = 16;

float clipped(float value, float low, float high) { return std::nearbyint(std::min(std::max(value, low), high)); }

std::uint8_t rounded(const Rounding& how, float scaled, const std::uint8_t* kept) {
  const float byte = clipped(scaled, how.low, how.high) + static_cast<float>(how.zero);
  if (!how.again) return static_cast<std::uint8_t>(byte);
  float value;
  if (kept == nullptr) {
    value = std::fma(byte, how.own_ratio, how.fixed);
  } else if (how.kept_first) {
    value = std::fma(static_cast<float>(*kept), how.kept_ratio, std::fma(byte, how.own_ratio, how.fixed));
  } else {
    value = std::fma(byte, how.own_ratio, std::fma(static_cast<float>(*kept), how.kept_ratio, how.fixed));
  }
  const float zero = static_cast<float>(how.again_zero);
  return static_cast<std::uint8_t>(clipped(value, -zero, 255.0F - zero) + zero);
}

void round_row(const ByteGemm& job, const std::int32_t* sums, std::int64_t row) {
  const Rounding& how = *job.rounding;
  std::uint8_t* out = job.out + row * job.out_step;
  const std::int64_t kept_row = how.kept_row == nullptr ? row : how.kept_row[row];
  for (int k = 0; k < job.width; ++k) {
    const std::uint8_t* kept = how.kept == nullptr ? nullptr : how.kept + kept_row * job.out_step + k;
    out[k] = rounded(how, static_cast<float>(sums[k]) * how.multiplier[k], kept);
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

void mix(const ByteMix& job, const Rounding& how) {
  for (int k = 0; k < job.width; ++k) {
    float sum = job.start;
    for (int i = 0; i < job.count; ++i) {
      sum += static_cast<float>(job.in[job.row[i] * job.in_step + k]) * job.weight[i];
    }
    job.out[k] = rounded(how, sum * *how.multiplier, nullptr);
  }
}

double multiply_adds(std::int64_t rounds) {
  std::int32_t sums[kPanel] = {};
  for (std::int64_t r = 0; r < rounds; ++r) {
    for (int k = 0; k < kPanel; ++k) sums[k] += static_cast<std::uint8_t>(r) * static_cast<std::int8_t>(k);
  }
  return static_cast<double>(rounds) * kPanel + (*std::max_element(sums, sums + kPanel) < -1 ? 1.0 : 0.0);
}

}  // namespace

const ByteKernels kBytePlain = {kPanel, 1, 128, false, 0, gemm, round_rows, mix, multiply_adds};

}  // namespace hoi
