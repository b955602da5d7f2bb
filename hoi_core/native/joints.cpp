#include "joints.h"

#include <algorithm>
#include <cmath>

namespace hoi {
namespace {

// A place between the first and the last cell; what is no number is the first.
float inside(float place, int side) { return place > 0.0F ? std::min(place, static_cast<float>(side - 1)) : 0.0F; }

}  // namespace

Corners::Corners(const float* uv, int side) {
  const float x = inside(((uv[0] + 1.0F) * side - 1.0F) / 2.0F, side);
  const float y = inside(((uv[1] + 1.0F) * side - 1.0F) / 2.0F, side);
  const int left = static_cast<int>(x), top = static_cast<int>(y);
  const int right = std::min(left + 1, side - 1), bottom = std::min(top + 1, side - 1);
  const float fx = x - static_cast<float>(left), fy = y - static_cast<float>(top);
  const int cells[] = {top * side + left, top * side + right, bottom * side + left, bottom * side + right};
  const float shares[] = {(1.0F - fy) * (1.0F - fx), (1.0F - fy) * fx, fy * (1.0F - fx), fy * fx};
  std::copy(std::begin(cells), std::end(cells), cell);
  std::copy(std::begin(shares), std::end(shares), share);
}

std::vector<std::int32_t> cells_above(int side) {
  std::vector<std::int32_t> above;
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) above.push_back((y / 2) * (side / 2) + x / 2);
  }
  return above;
}

void SoftArgmax::run(const float* maps, int step, const HandAnswer& answer) {
  const int cells = side_ * side_;
  std::copy_n(maps, joints_, peak_.begin());
  for (int i = 1; i < cells; ++i) {
    const float* row = maps + static_cast<std::int64_t>(i) * step;
    for (int j = 0; j < joints_; ++j) peak_[j] = std::max(peak_[j], row[j]);
  }
  for (std::vector<float>* sums : {&sum_, &across_, &down_}) std::fill(sums->begin(), sums->end(), 0.0F);
  for (int i = 0; i < cells; ++i) {
    const float x = static_cast<float>(2 * (i % side_) + 1) / side_ - 1.0F;
    const float y = static_cast<float>(2 * (i / side_) + 1) / side_ - 1.0F;
    const float* row = maps + static_cast<std::int64_t>(i) * step;
    for (int j = 0; j < joints_; ++j) {
      const float p = std::exp(row[j] - peak_[j]);
      sum_[j] += p;
      across_[j] += p * x;
      down_[j] += p * y;
    }
  }
  for (int j = 0; j < joints_; ++j) {
    answer.uv[2 * j] = across_[j] / sum_[j];
    answer.uv[2 * j + 1] = down_[j] / sum_[j];
    answer.confidence[j] = 1.0F / sum_[j];
  }
}

}  // namespace hoi
