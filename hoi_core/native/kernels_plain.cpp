// Plain C++: what the others are checked against, and what runs on processors that none of them knows.
#include <algorithm>

#include "byte_sets.h"

namespace hoi {
namespace {

void gemm(const Gemm& job) {
  for (int i = 0; i < job.count; ++i) {
    const float* in = job.in + job.from[i] * job.in_step;
    float* out = job.out + job.to[i] * job.out_step;
    const float* w = job.weights;
    for (int s = 0; s < job.segments; ++s, in += job.segment_step) {
      for (int c = 0; c < job.channels; ++c, w += job.width) {
        for (int k = 0; k < job.width; ++k) out[k] += in[c] * w[k];
      }
    }
    if (job.relu) {
      for (int k = 0; k < job.width; ++k) out[k] = std::max(out[k], 0.0F);
    }
  }
}

double multiply_adds(std::int64_t rounds) {
  constexpr int kSums = 8;
  float sum[kSums] = {0.0F, 1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F, 7.0F};
  for (std::int64_t r = 0; r < rounds; ++r) {
    for (float& each : sum) each = each * 1e-9F + 1e-9F;
  }
  return static_cast<double>(rounds) * kSums + (*std::max_element(sum, sum + kSums) > 1.0F ? 1.0 : 0.0);
}

}  // namespace

const Kernels kPlain = {"plain", 16, 4, gemm, multiply_adds, &kBytePlain, &kBytePlain};

}  // namespace hoi
