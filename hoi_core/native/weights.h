// Weights of a convolution in the order in which they are read.
#pragma once

#include "kernels.h"
#include "memory.h"

namespace hoi {

// A convolution with its batch norm folded in.
struct Convolution {
  int c_in = 0, c_out = 0, kernel = 1, stride = 1;
  bool relu = false;
  int taps() const { return kernel * kernel; }
};

inline int padded(int channels) { return (channels + kRowMultiple - 1) / kRowMultiple * kRowMultiple; }

// Blocks of output channels ("panels") one after the other, in each the taps in a given order, in each (c_in, width).
// Channels up to `padded(c_out)` are zero.
class Weights {
 public:
  // `weight` is (c_out, c_in, kernel, kernel), `bias` (c_out), `tap_order` the taps (dy * kernel + dx) as they are read.
  Weights(const Convolution& conv, const float* weight, const float* bias, const std::vector<int>& tap_order,
          const Kernels& kernels);

  int panels() const { return (padded(conv_.c_out) + panel_ - 1) / panel_; }
  int first(int panel) const { return panel * panel_; }
  int width(int panel) const;
  const float* at(int panel, int tap) const {
    return packed_.get() + static_cast<std::int64_t>(first(panel)) * conv_.taps() * conv_.c_in +
           static_cast<std::int64_t>(tap) * conv_.c_in * width(panel);
  }
  const float* bias() const { return bias_.get(); }

 private:
  Convolution conv_;
  int panel_;
  Buffer<float> packed_, bias_;
};

}  // namespace hoi
