#include "weights.h"

#include <algorithm>

namespace hoi {

Weights::Weights(const Convolution& conv, const float* weight, const float* bias, const std::vector<int>& tap_order,
                 const Kernels& kernels)
    : conv_(conv),
      panel_(kernels.panel),
      packed_(make_buffer<float>(static_cast<std::size_t>(padded(conv.c_out)) * conv.taps() * conv.c_in)),
      bias_(make_buffer<float>(padded(conv.c_out))) {
  std::copy(bias, bias + conv.c_out, bias_.get());
  float* to = packed_.get();
  for (int p = 0; p < panels(); ++p) {
    for (const int tap : tap_order) {
      for (int c = 0; c < conv.c_in; ++c, to += width(p)) {
        const int here = std::min(width(p), conv.c_out - first(p));
        for (int k = 0; k < here; ++k) {
          to[k] = weight[(static_cast<std::int64_t>(first(p) + k) * conv.c_in + c) * conv.taps() + tap];
        }
      }
    }
  }
}

int Weights::width(int panel) const { return std::min(panel_, padded(conv_.c_out) - first(panel)); }

}  // namespace hoi
