// What a convolution in 8-bit integers is, as an exported file tells it.
#pragma once

#include <array>

#include "weights.h"

namespace hoi {

// Bytes for bytes: what a product with a constant and another rounding make of each.
using Table = std::array<std::uint8_t, 256>;

struct ByteLayer {
  Convolution shape;
  const std::int8_t* weight = nullptr;      // (c_out, c_in, kernel, kernel)
  const std::int32_t* bias = nullptr;       // (c_out), in steps of the sums
  const float* multiplier = nullptr;        // (c_out): input's scale * weight's scale / result's scale
  int zero = 0;                             // zero point of the result, before a residual is added
  int residual = -1;                        // a value, or none; the sum's zero point is 0
  float own_ratio = 1.0F, kept_ratio = 1.0F, fixed = 0.0F;  // see Rounding
  const Table* table = nullptr;             // at the very end; null where it would change nothing
  float scale = 1.0F;                       // of the final result
};

}  // namespace hoi
