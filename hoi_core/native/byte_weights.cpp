#include "byte_weights.h"

#include <algorithm>

#include "weights.h"

namespace hoi {
namespace {

constexpr int kMostWeight = 32767 / 255;

}  // namespace

ByteWeights::ByteWeights(const ByteMatrix& matrix, const ByteKernels& kernels)
    : kernels_(kernels),
      segments_(matrix.segments),
      channels_((matrix.channels + kByteGroup - 1) / kByteGroup * kByteGroup),
      width_(padded(matrix.width)),
      packed_(make_buffer<std::int8_t>(static_cast<std::size_t>(width_) * segments_ * column_bytes())),
      start_(make_buffer<std::int32_t>(width_)),
      multiplier_(make_buffer<float>(width_)) {
  std::copy(matrix.start, matrix.start + matrix.width, start_.get());
  std::copy(matrix.multiplier, matrix.multiplier + matrix.width, multiplier_.get());
  const int group = kernels.group;
  for (int p = 0; p < panels(); ++p) {
    const int here = std::min(width(p), matrix.width - first(p));
    for (int s = 0; s < segments_; ++s) {
      auto* to = packed_.get() + (at(p, s) - packed_.get());
      auto* lost = reinterpret_cast<std::int32_t*>(to);
      if (kernels.offset != 0) to += std::int64_t{width(p)} * 4;
      for (int c = 0; c < matrix.channels; ++c) {
        const std::int8_t* from = matrix.weight + (static_cast<std::int64_t>(s) * matrix.channels + c) * matrix.width;
        for (int k = 0; k < here; ++k) {
          const std::int8_t weight = from[first(p) + k];
          to[(static_cast<std::int64_t>(c / group) * width(p) + k) * group + c % group] = weight;
          if (kernels.offset != 0) lost[k] += kernels.offset * weight;
        }
      }
    }
  }
  if (kernels.adds_blocks && channels_ % kByteBlock == 0) find_blocks_that_fit();
}

// Four weights meet in each sum of 16 bits, the first or the last two of either group. Whatever the inputs are, it lies
// between 255 times the sum of the negative ones and 255 times that of the positive ones.
void ByteWeights::find_blocks_that_fit() {
  const int blocks = channels_ / kByteBlock;
  for (int p = 0; p < panels(); ++p) {
    for (int s = 0; s < segments_; ++s) {
      for (int b = 0; b < blocks; ++b) {
        const std::int8_t* near = at(p, s) + static_cast<std::int64_t>(b) * kByteBlock * width(p);
        const std::int8_t* far = near + static_cast<std::int64_t>(kByteGroup) * width(p);
        bool fits = true;
        for (int k = 0; k < width(p) * kByteGroup; k += 2) {
          const int weights[] = {near[k], near[k + 1], far[k], far[k + 1]};
          int above = 0, below = 0;
          for (const int weight : weights) (weight > 0 ? above : below) += weight;
          fits = fits && above <= kMostWeight && -below <= kMostWeight;
        }
        fits_.push_back(fits ? 1 : 0);
      }
    }
  }
}

int ByteWeights::width(int panel) const { return std::min(kernels_.panel, width_ - first(panel)); }

}  // namespace hoi
