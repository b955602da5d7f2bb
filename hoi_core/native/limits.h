// What layers may be.
#pragma once

#include <cmath>
#include <string>

#include "demand.h"
#include "plan.h"

namespace hoi {

constexpr int kMostChannels = 1 << 15;
constexpr int kLargestKernel = 15;
constexpr int kPoolKernel = 3;
constexpr int kPoolStride = 2;

inline bool is_scale(float value) { return std::isfinite(value) && value > 0.0F; }

inline void demand_shape(const Convolution& conv, const Value& in) {
  demand(conv.kernel % 2 == 1 && conv.kernel >= 1 && conv.kernel <= kLargestKernel, "an odd kernel of 1 to 15");
  demand(conv.c_out >= 1 && conv.c_out <= kMostChannels, "1 to 32768 output channels");
  if (conv.c_in != in.channels) demand(false, "weights for " + std::to_string(in.channels) + " input channels");
}

}  // namespace hoi
