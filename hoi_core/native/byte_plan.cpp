// Planning of layers in 8-bit integers.
#include <algorithm>
#include <numeric>

#include "byte_steps.h"
#include "limits.h"

namespace hoi {

void Plan::take_bytes(float image_scale, float site_scale, int largest_weight) {
  demand(values_.size() == 1, "that an image in bytes is asked for before the first layer");
  demand(is_scale(image_scale) && is_scale(site_scale), "scales above 0");
  image_scale_ = image_scale;
  site_scale_ = site_scale;
  byte_kernels_ = &byte_kernels(kernels_, largest_weight);
}

int Plan::convolve_bytes(int source, const ByteLayer& layer) {
  const Value in = readable(source);
  const Convolution& conv = layer.shape;
  demand(byte_kernels_ != nullptr && (source == 0 || in.is_bytes), "a source in bytes");
  demand_shape(conv, in);
  demand_numbers(layer, byte_kernels_->largest_weight);
  demand(in.zero == 0, "a source whose zero point is 0");
  const int level = level_after(in, conv.stride);
  Value made{level, conv.c_out};
  made.is_bytes = true;
  made.scale = layer.scale;
  made.zero = conv.relu || layer.residual >= 0 ? 0 : layer.zero;
  if (source == 0) {
    demand(layer.residual < 0, "no residual beside the image");
    return add(byte_image_step(layer), made, {});
  }
  if (layer.residual >= 0) {
    const Value kept = readable(layer.residual);
    demand(kept.is_bytes && kept.level == level && kept.channels == conv.c_out, "a residual of the result's shape");
  }
  const int result = static_cast<int>(values_.size());
  const int pairs = pairs_between(in.level, level, conv.kernel);
  const std::vector<std::int8_t> matrix = matrix_of(layer, pairs_[pairs].tap);
  const ByteMatrix product{conv.taps(), conv.c_in, conv.c_out, matrix.data(), layer.bias, layer.multiplier};
  ByteWeights weights(product, *byte_kernels_);
  most_widened_ = std::max(most_widened_, std::int64_t{weights.channels()});
  most_sums_ = std::max(most_sums_, std::int64_t{cells(level)} * cells(level));
  auto step = std::make_unique<ByteSiteConvolution>(
      layer, std::move(weights), ByteSiteConvolution::Wiring{source, layer.residual, result, pairs});
  return add(std::move(step), made, {source, layer.residual});
}

std::unique_ptr<Step> Plan::byte_image_step(const ByteLayer& layer) {
  const Convolution& conv = layer.shape;
  std::vector<int> in_rows(conv.taps());
  std::iota(in_rows.begin(), in_rows.end(), 0);
  const std::vector<std::int8_t> matrix = matrix_of(layer, in_rows);
  // A row of a window is one run of bytes.
  const int in_row = conv.kernel * conv.c_in;
  const ByteMatrix product{conv.kernel, in_row, conv.c_out, matrix.data(), layer.bias, layer.multiplier};
  ByteWeights weights(product, *byte_kernels_);
  most_widened_ = std::max(most_widened_, std::int64_t{weights.channels()} * conv.kernel);
  const int result = static_cast<int>(values_.size());
  return std::make_unique<ByteImageConvolution>(layer, std::move(weights), size_, image_scale_, result);
}

int Plan::max_pool_bytes(int source, const Table* table, float scale) {
  const Value in = readable(source);
  demand(source > 0 && in.is_bytes && in.zero == 0, "a pooling of bytes whose zero point is 0");
  demand(is_scale(scale), "scales above 0");
  const int level = level_after(in, kPoolStride);
  const int pairs = pairs_between(in.level, level, kPoolKernel);
  Value made{level, in.channels};
  made.is_bytes = true;
  made.scale = scale;
  const int result = static_cast<int>(values_.size());
  return add(std::make_unique<ByteMaxPool>(source, result, pairs, table), made, {source});
}

void Plan::reserve_bytes() {
  if (byte_kernels_ == nullptr) return;
  most_sums_ *= byte_kernels_->panel;
  most_widened_ = widened_for(most_widened_);
  sums_ = make_buffer<std::int32_t>(most_sums_ * pool_->threads());
  widened_ = make_buffer<std::int16_t>(most_widened_ * pool_->threads());
}

ByteScratch Plan::byte_scratch(Share share) const {
  return {sums_.get() + share.index * most_sums_, widened_.get() + share.index * most_widened_};
}

}  // namespace hoi
