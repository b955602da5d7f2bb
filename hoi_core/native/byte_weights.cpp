#include "byte_weights.h"

#include <algorithm>

#include "weights.h"

namespace hoi {

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
}

int ByteWeights::width(int panel) const { return std::min(kernels_.panel, width_ - first(panel)); }

}  // namespace hoi
