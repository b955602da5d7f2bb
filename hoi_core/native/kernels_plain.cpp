// Plain C++: what the others are checked against, and what runs on processors that none of them knows.
#include <algorithm>

#include "instruction_sets.h"

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

}  // namespace

const Kernels kPlain = {"plain", 16, 4, gemm};

}  // namespace hoi
