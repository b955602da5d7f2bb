#include "sites.h"

#include <algorithm>

#include "clones.h"

namespace hoi {

void Sites::reserve(int cells_along_side) {
  size = cells_along_side;
  const auto cells = static_cast<std::size_t>(size) * size;
  row.assign(cells, -1);
  y.reserve(cells);
  x.reserve(cells);
}

namespace {

void number(Sites& sites) {
  sites.y.clear();
  sites.x.clear();
  std::int32_t* cell = sites.row.data();
  for (int y = 0; y < sites.size; ++y) {
    for (int x = 0; x < sites.size; ++x, ++cell) {
      if (*cell < 0) continue;
      *cell = sites.count();
      sites.y.push_back(static_cast<std::int16_t>(y));
      sites.x.push_back(static_cast<std::int16_t>(x));
    }
  }
}

}  // namespace

HOI_CLONES void mark_pixels(const float* image, int channels, float scale, Sites& sites) {
  const std::size_t cells = sites.row.size();
  std::fill(sites.row.begin(), sites.row.end(), -1);
  for (int c = 0; c < channels; ++c) {
    const float* plane = image + c * cells;
    if (scale > 0.0F) {
      constexpr float kHalf = 0.5F;  // which rounds to 0
      for (std::size_t i = 0; i < cells; ++i) sites.row[i] = plane[i] / scale > kHalf ? 0 : sites.row[i];
    } else {
      for (std::size_t i = 0; i < cells; ++i) sites.row[i] = plane[i] != 0.0F ? 0 : sites.row[i];
    }
  }
  number(sites);
}

void mark_all(Sites& sites) {
  std::fill(sites.row.begin(), sites.row.end(), 0);
  number(sites);
}

void coarsen(const Sites& fine, Sites& coarse) {
  std::fill(coarse.row.begin(), coarse.row.end(), -1);
  for (int i = 0; i < fine.count(); ++i) coarse.row[(fine.y[i] / 2) * coarse.size + fine.x[i] / 2] = 0;
  number(coarse);
}

void Pairs::reserve(int kernel_size, int stride_of_output, int output_cells) {
  kernel = kernel_size;
  stride = stride_of_output;
  const int taps = kernel * kernel;
  from.reserve(static_cast<std::size_t>(taps) * output_cells);
  to.reserve(static_cast<std::size_t>(taps) * output_cells);
  tap.clear();
  for (int t = 0; t < taps; ++t) {
    if (t != taps / 2) tap.push_back(t);
  }
  tap.push_back(taps / 2);
  begin.assign(taps + 1, 0);
}

PairRange Pairs::of(int group, int first, int last) const {
  const std::int32_t* begin_of_group = to.data() + begin[group];
  const std::int32_t* end_of_group = to.data() + begin[group + 1];
  const std::int32_t* low = std::lower_bound(begin_of_group, end_of_group, first);
  const std::int32_t* high = std::lower_bound(low, end_of_group, last);
  return {from.data() + (low - to.data()), low, static_cast<int>(high - low)};
}

void find_pairs(const Sites& in, const Sites& out, Pairs& pairs) {
  pairs.from.clear();
  pairs.to.clear();
  const int half = pairs.kernel / 2;
  for (std::size_t g = 0; g < pairs.tap.size(); ++g) {
    const int dy = pairs.tap[g] / pairs.kernel - half;
    const int dx = pairs.tap[g] % pairs.kernel - half;
    for (int i = 0; i < out.count(); ++i) {
      const int y = out.y[i] * pairs.stride + dy;
      const int x = out.x[i] * pairs.stride + dx;
      if (y < 0 || x < 0 || y >= in.size || x >= in.size) continue;
      const std::int32_t source = in.row[y * in.size + x];
      if (source < 0) continue;
      pairs.from.push_back(source);
      pairs.to.push_back(i);
    }
    pairs.begin[g + 1] = static_cast<int>(pairs.from.size());
  }
}

}  // namespace hoi
