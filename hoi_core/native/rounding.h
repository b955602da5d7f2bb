// Rounding that compilers turn into two additions.
#pragma once

#include <algorithm>
#include <cstdint>

namespace hoi {

// Half to even, as `rint`, for numbers far below 2^22.
inline float half_to_even(float x) {
  constexpr float kNoFractions = 12582912.0F;  // 1.5 * 2^23: floats of this size are whole numbers
  return (x + kNoFractions) - kNoFractions;
}

// The byte that stands for a number: of steps of `scale`, with one that stands for 0. What is no number becomes 0.
inline std::uint8_t byte_of(float value, float scale, int zero = 0) {
  const auto shift = static_cast<float>(zero);
  constexpr float kLargest = 255.0F;
  const float steps = std::min(std::max(-shift, value / scale), kLargest - shift);
  return static_cast<std::uint8_t>(half_to_even(steps) + shift);
}

}  // namespace hoi
