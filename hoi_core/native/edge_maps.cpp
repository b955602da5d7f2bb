#include "edge_maps.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "clones.h"
#include "demand.h"
#include "rounding.h"

namespace hoi {
namespace {

constexpr double kMostBlur = 20.0;
constexpr int kChannels = 3;

// BT.601 in 15 bits.
constexpr int kRed = 9798, kGreen = 19235, kBlue = 3735, kLumaBits = 15;

constexpr int kBlurBits = 8;

// What a pixel is to Canny's hysteresis.
constexpr std::uint8_t kNoEdge = 0, kWeak = 1, kEdge = 2;

// tan(22.5 degrees) in 15 bits.
constexpr int kTangent = 13573, kTangentBits = 15;

// A Gaussian in whole 256ths that sum to 256: what a weight loses by rounding is left to the next.
std::vector<int> gaussian(double sigma) {
  if (sigma <= 0.0) return {};
  const int n = static_cast<int>(std::nearbyint(sigma * 6.0 + 1.0)) | 1;
  std::vector<double> exact(n);
  double sum = 0.0;
  for (int i = 0; i < n; ++i) {
    const double x = i - (n - 1) / 2.0;
    exact[i] = std::exp(-x * x / (2.0 * sigma * sigma));
    sum += exact[i];
  }
  std::vector<int> kernel(n);
  double left = 0.0;
  int used = 0;
  for (int i = 0; i < n / 2; ++i) {
    const double wanted = exact[i] / sum * (1 << kBlurBits) + left;
    kernel[i] = kernel[n - 1 - i] = static_cast<int>(std::nearbyint(wanted));
    left = wanted - kernel[i];
    used += 2 * kernel[i];
  }
  kernel[n / 2] = (1 << kBlurBits) - used;
  return kernel;
}

int clamped(int i, int n) { return std::min(std::max(i, 0), n - 1); }

}  // namespace

EdgeMaps::EdgeMaps(int size, const EdgeSettings& settings) : size_(size), settings_(settings) {
  demand(size >= 2 && size <= 4096, "a crop of 2 to 4096 px");
  demand(settings.blur_px >= 0.0 && settings.blur_px <= kMostBlur, "a blur of 0 to 20 px");
  demand(settings.threshold_sobel >= 1 && settings.threshold_sobel <= 255, "a threshold of 1 to 255");
  demand(settings.threshold_canny_low >= 1 && settings.threshold_canny_low <= settings.threshold_canny_high,
              "thresholds of Canny from low to high");
  kernel_ = gaussian(settings.blur_px);
  const std::size_t cells = static_cast<std::size_t>(size) * size;
  const std::size_t framed = static_cast<std::size_t>(size + 2) * (size + 2);
  gray_.resize(cells);
  smooth_.resize(cells);
  strength_.resize(cells);
  second_.resize(cells);
  widened_.resize(size + kernel_.size());
  across_.resize(cells);
  dx_.resize(cells);
  dy_.resize(cells);
  framed_.resize(3 * static_cast<std::size_t>(size + 2));
  magnitude_.resize(framed);
  state_.resize(framed);
  waiting_.reserve(cells);
  for (int v = 0; v < 256; ++v) share_[v] = static_cast<float>(v) / 255.0F;
}

HOI_CLONES void EdgeMaps::run(const std::uint8_t* pixels, int channels, float* out) {
  demand(channels == 1 || channels == kChannels, "one or three channels");
  const std::size_t cells = gray_.size();
  const std::vector<std::uint8_t>* second = &strength_;
  if (channels == 1) {
    for (std::size_t i = 0; i < cells; ++i) strength_[i] = pixels[i] < settings_.threshold_sobel ? 0 : pixels[i];
  } else {
    make_gray(pixels);
    blur();
    find_gradient();
    find_strength();
    if (settings_.fusion != Fusion::kSingle) second = &second_;
    if (settings_.fusion == Fusion::kSandwich) find_canny();
    if (settings_.fusion == Fusion::kEdgeGray) {
      for (std::size_t i = 0; i < cells; ++i) second_[i] = strength_[i] > 0 ? gray_[i] : 0;
    }
  }
  for (std::size_t i = 0; i < cells; ++i) {
    out[i] = out[2 * cells + i] = share_[strength_[i]];
    out[cells + i] = share_[(*second)[i]];
  }
}

HOI_CLONES void EdgeMaps::make_gray(const std::uint8_t* rgb) {
  for (std::uint8_t& luma : gray_) {
    luma = static_cast<std::uint8_t>((rgb[0] * kRed + rgb[1] * kGreen + rgb[2] * kBlue + (1 << (kLumaBits - 1))) >>
                                     kLumaBits);
    rgb += kChannels;
  }
}

// Along rows, then along columns; one rounding at the end.
HOI_CLONES void EdgeMaps::blur() {
  if (kernel_.empty()) {
    std::copy(gray_.begin(), gray_.end(), smooth_.begin());
    return;
  }
  const int taps = static_cast<int>(kernel_.size()), half = taps / 2;
  // A row's sums are below 2^16: the weights add up to 256.
  for (int y = 0; y < size_; ++y) {
    const std::uint8_t* row = &gray_[static_cast<std::size_t>(y) * size_];
    std::fill_n(widened_.begin(), half, row[0]);
    std::copy_n(row, size_, widened_.begin() + half);
    std::fill_n(widened_.begin() + half + size_, half, row[size_ - 1]);
    std::uint16_t* out = &across_[static_cast<std::size_t>(y) * size_];
    std::fill_n(out, size_, std::uint16_t{0});
    for (int t = 0; t < taps; ++t) {
      const auto weight = static_cast<std::uint16_t>(kernel_[t]);
      const std::uint16_t* in = widened_.data() + t;
      for (int x = 0; x < size_; ++x) out[x] = static_cast<std::uint16_t>(out[x] + weight * in[x]);
    }
  }
  constexpr int kBits = 2 * kBlurBits;
  for (int y = 0; y < size_; ++y) {
    std::int32_t* sums = magnitude_.data();  // not needed yet
    std::fill_n(sums, size_, 1 << (kBits - 1));
    for (int t = 0; t < taps; ++t) {
      const int weight = kernel_[t];
      const std::uint16_t* in = &across_[static_cast<std::size_t>(clamped(y + t - half, size_)) * size_];
      for (int x = 0; x < size_; ++x) sums[x] += weight * in[x];
    }
    std::uint8_t* out = &smooth_[static_cast<std::size_t>(y) * size_];
    for (int x = 0; x < size_; ++x) out[x] = static_cast<std::uint8_t>(sums[x] >> kBits);
  }
}

// What is beyond the sides is as what is at them.
HOI_CLONES void EdgeMaps::find_gradient() {
  for (int y = 0; y < size_; ++y) {
    const std::uint8_t* rows[] = {&smooth_[static_cast<std::size_t>(clamped(y - 1, size_)) * size_],
                                  &smooth_[static_cast<std::size_t>(y) * size_],
                                  &smooth_[static_cast<std::size_t>(clamped(y + 1, size_)) * size_]};
    for (std::size_t i = 0; i < 3; ++i) {
      std::int16_t* framed = framed_.data() + i * (size_ + 2);
      std::copy_n(rows[i], size_, framed + 1);
      framed[0] = framed[1];
      framed[size_ + 1] = framed[size_];
    }
    const std::int16_t *above = framed_.data(), *here = above + size_ + 2, *below = here + size_ + 2;
    std::int16_t* dx = &dx_[static_cast<std::size_t>(y) * size_];
    std::int16_t* dy = &dy_[static_cast<std::size_t>(y) * size_];
    for (int x = 0; x < size_; ++x) {
      dx[x] = static_cast<std::int16_t>(above[x + 2] - above[x] + 2 * (here[x + 2] - here[x]) + below[x + 2] - below[x]);
    }
    for (int x = 0; x < size_; ++x) {
      dy[x] = static_cast<std::int16_t>(below[x] - above[x] + 2 * (below[x + 1] - above[x + 1]) + below[x + 2] -
                                        above[x + 2]);
    }
  }
}

HOI_CLONES void EdgeMaps::find_strength() {
  const float least = static_cast<float>(settings_.threshold_sobel);
  const std::int16_t *dx = dx_.data(), *dy = dy_.data();
  std::uint8_t* strength = strength_.data();
  const std::size_t cells = strength_.size();
  for (std::size_t i = 0; i < cells; ++i) {
    const float x = dx[i], y = dy[i];
    const float length = half_to_even(std::sqrt(x * x + y * y) * 0.25F);
    strength[i] = length >= least ? static_cast<std::uint8_t>(std::min(length, 255.0F)) : 0;
  }
}

// Canny 1986, with the squared length of the gradient: thin out, then follow strong edges along weak ones.
HOI_CLONES void EdgeMaps::find_canny() {
  const int framed = size_ + 2;
  std::fill(magnitude_.begin(), magnitude_.end(), 0);
  std::fill(state_.begin(), state_.end(), kNoEdge);
  for (int y = 0; y < size_; ++y) {
    const std::int16_t* dx = &dx_[static_cast<std::size_t>(y) * size_];
    const std::int16_t* dy = &dy_[static_cast<std::size_t>(y) * size_];
    std::int32_t* magnitude = &magnitude_[static_cast<std::size_t>(y + 1) * framed + 1];
    for (int x = 0; x < size_; ++x) magnitude[x] = dx[x] * dx[x] + dy[x] * dy[x];
  }
  const int low = std::min(settings_.threshold_canny_low, 32767);
  const int high = std::min(settings_.threshold_canny_high, 32767);
  waiting_.clear();
  suppress(low * low, high * high);
  follow();
  for (int y = 0; y < size_; ++y) {
    const std::uint8_t* state = &state_[static_cast<std::size_t>(y + 1) * framed + 1];
    std::uint8_t* second = &second_[static_cast<std::size_t>(y) * size_];
    for (int x = 0; x < size_; ++x) second[x] = state[x] == kEdge ? 255 : 0;
  }
}

// Keeps pixels whose gradient is the longest across the edge.
void EdgeMaps::suppress(int low, int high) {
  const int framed = size_ + 2;
  for (int y = 0; y < size_; ++y) {
    for (int x = 0; x < size_; ++x) {
      const std::int32_t at = (y + 1) * framed + x + 1;
      const std::int32_t* m = &magnitude_[at];
      if (*m <= low) continue;
      const int gx = dx_[static_cast<std::size_t>(y) * size_ + x], gy = dy_[static_cast<std::size_t>(y) * size_ + x];
      const int ax = std::abs(gx), ay = std::abs(gy) << kTangentBits;
      const int flat = ax * kTangent;
      bool longest;
      if (ay < flat) {
        longest = *m > m[-1] && *m >= m[1];
      } else if (ay > flat + (ax << (kTangentBits + 1))) {
        longest = *m > m[-framed] && *m >= m[framed];
      } else {
        const int side = (gx ^ gy) < 0 ? -1 : 1;
        longest = *m > m[-framed - side] && *m > m[framed + side];
      }
      if (!longest) continue;
      state_[at] = *m > high ? kEdge : kWeak;
      if (*m > high) waiting_.push_back(at);
    }
  }
}

void EdgeMaps::follow() {
  const int framed = size_ + 2;
  while (!waiting_.empty()) {
    const std::int32_t at = waiting_.back();
    waiting_.pop_back();
    for (int dy = -framed; dy <= framed; dy += framed) {
      for (int dx = -1; dx <= 1; ++dx) {
        std::uint8_t& state = state_[at + dy + dx];
        if (state != kWeak) continue;
        state = kEdge;
        waiting_.push_back(at + dy + dx);
      }
    }
  }
}

}  // namespace hoi
