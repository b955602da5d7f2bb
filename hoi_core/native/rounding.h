// Rounding that compilers turn into two additions.
#pragma once

namespace hoi {

// Half to even, as `rint`, for numbers far below 2^22.
inline float half_to_even(float x) {
  constexpr float kNoFractions = 12582912.0F;  // 1.5 * 2^23: floats of this size are whole numbers
  return (x + kNoFractions) - kNoFractions;
}

}  // namespace hoi
