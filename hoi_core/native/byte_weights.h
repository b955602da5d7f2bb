// Weights of a convolution in 8-bit integers, in the order in which they are read.
#pragma once

#include <vector>

#include "byte_kernels.h"
#include "memory.h"

namespace hoi {

// The numbers of a product of matrices: a tap of a convolution, or a row of windows of an image, is a segment.
struct ByteMatrix {
  int segments = 0, channels = 0, width = 0;
  const std::int8_t* weight = nullptr;        // (segments, channels, width)
  const std::int32_t* start = nullptr;        // (width): the bias, in steps of the sums
  const float* multiplier = nullptr;          // (width): from the sums' steps to the result's
};

// Panels of output channels one after the other, in each the segments, in each the groups of channels; in a group the
// channels of each output channel lie together. What is padded is zero.
class ByteWeights {
 public:
  ByteWeights(const ByteMatrix& matrix, const ByteKernels& kernels);

  const ByteKernels& kernels() const { return kernels_; }
  int panels() const { return (width_ + kernels_.panel - 1) / kernels_.panel; }
  int first(int panel) const { return panel * kernels_.panel; }
  int width(int panel) const;
  int channels() const { return channels_; }  // of a segment, padded
  const std::int8_t* at(int panel, int segment) const {
    return packed_.get() + (static_cast<std::int64_t>(first(panel)) * segments_ +
                            static_cast<std::int64_t>(segment) * width(panel)) * column_bytes();
  }
  // For the kernel, from a segment on; null if it has no use for it.
  const std::uint8_t* fits(int panel, int segment) const {
    if (fits_.empty()) return nullptr;
    return fits_.data() + (static_cast<std::int64_t>(panel) * segments_ + segment) * (channels_ / kByteBlock);
  }
  const std::int32_t* start(int panel) const { return start_.get() + first(panel); }
  const float* multiplier(int panel) const { return multiplier_.get() + first(panel); }

 private:
  void find_blocks_that_fit();
  // What an output channel takes of a segment.
  std::int64_t column_bytes() const { return channels_ + (kernels_.offset != 0 ? 4 : 0); }

  const ByteKernels& kernels_;
  int segments_, channels_, width_;
  Buffer<std::int8_t> packed_;
  Buffer<std::int32_t> start_;
  Buffer<float> multiplier_;
  std::vector<std::uint8_t> fits_;
};

}  // namespace hoi
