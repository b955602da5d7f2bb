#include "byte_layer.h"

#include <algorithm>
#include <cstdlib>

#include "limits.h"

namespace hoi {
namespace {

// More products of bytes could overflow 32 bits, with a bias.
constexpr int kMostProducts = 1 << 15;
constexpr std::int32_t kLargestBias = 1 << 30;

}  // namespace

void demand_numbers(const ByteLayer& layer, int largest_weight) {
  const Convolution& conv = layer.shape;
  demand(conv.c_in >= 1 && conv.c_out >= 1 && conv.kernel >= 1, "channels");
  demand(conv.taps() * std::int64_t{conv.c_in} <= kMostProducts, "at most 32768 products in a sum");
  demand(is_scale(layer.scale) && std::isfinite(layer.fixed), "scales above 0");
  demand(layer.residual < 0 || is_scale(layer.kept_ratio), "scales above 0");
  demand(is_scale(layer.own_ratio), "scales above 0");
  demand(std::min(layer.zero, layer.again_zero) >= 0 && std::max(layer.zero, layer.again_zero) <= 255,
         "a zero point of 0 to 255");
  demand(!conv.relu || layer.residual >= 0 || layer.zero == 0, "a zero point of 0 after a ReLU");
  for (int k = 0; k < conv.c_out; ++k) {
    demand(is_scale(layer.multiplier[k]), "scales above 0");
    demand(layer.bias[k] >= -kLargestBias && layer.bias[k] <= kLargestBias, "biases of at most 2^30 steps");
  }
  const std::int64_t count = std::int64_t{conv.taps()} * conv.c_in * conv.c_out;
  for (std::int64_t i = 0; i < count; ++i) {
    if (std::abs(int{layer.weight[i]}) > largest_weight) {
      demand(false, "weights of at most " + std::to_string(largest_weight));
    }
  }
}

std::vector<std::int8_t> matrix_of(const ByteLayer& layer, const std::vector<int>& order) {
  const std::int64_t taps = layer.shape.taps(), c_in = layer.shape.c_in, c_out = layer.shape.c_out;
  std::vector<std::int8_t> matrix(taps * c_in * c_out);
  for (std::int64_t k = 0; k < c_out; ++k) {
    for (std::int64_t c = 0; c < c_in; ++c) {
      for (std::int64_t t = 0; t < taps; ++t) {
        matrix[(t * c_in + c) * c_out + k] = layer.weight[(k * c_in + c) * taps + order[t]];
      }
    }
  }
  return matrix;
}

}  // namespace hoi
