// What a convolution in 8-bit integers is, as an exported file tells it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

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
  bool again = false;                       // rounded once more, as after a residual
  bool kept_first = false;
  float own_ratio = 1.0F, kept_ratio = 1.0F, fixed = 0.0F;  // see Rounding
  int again_zero = 0;
  const Table* table = nullptr;             // at the very end; null where it would change nothing
  float scale = 1.0F;                       // of the final result
};

// Throws std::invalid_argument for numbers that no layer has, and for weights that a kernel does not sum up exactly.
void demand_numbers(const ByteLayer& layer, int largest_weight);

// Its weights as (taps, c_in, c_out), the taps in a given order.
std::vector<std::int8_t> matrix_of(const ByteLayer& layer, const std::vector<int>& order);

}  // namespace hoi
