// Site sets of an image at strides 1, 2, 4, ..., and which site is whose neighbour.
#pragma once

#include <cstdint>
#include <vector>

namespace hoi {

// The sites of one stride. Sites are numbered in the order of rows; the number is the row of their features.
struct Sites {
  int size = 0;                       // cells along a side of the grid
  std::vector<std::int32_t> row;      // (size, size): number of the site, -1 where none is
  std::vector<std::int16_t> y, x;     // of each site
  int count() const { return static_cast<int>(y.size()); }
  void reserve(int cells_along_side);
};

// Marks the sites of an image: pixels where any channel is not zero or, with a `scale` above 0, where the largest rounds
// to one or more of its steps. `image` is (channels, size, size).
void mark_pixels(const float* image, int channels, float scale, Sites& sites);

// Makes every cell a site.
void mark_all(Sites& sites);

// Sites at twice the stride: unique(floor(site / 2)).
void coarsen(const Sites& fine, Sites& coarse);

// Some pairs of one tap.
struct PairRange {
  const std::int32_t *from, *to;
  int count;
};

// For each tap of a k x k convolution the pairs (input site, output site) that exist.
struct Pairs {
  int kernel = 0, stride = 1;
  std::vector<std::int32_t> from, to;   // grouped by tap
  std::vector<int> begin;               // (taps + 1): where each group begins
  std::vector<int> tap;                 // which tap each group is, as (dy, dx) in row order
  void reserve(int kernel_size, int stride_of_output, int output_cells);
  // Pairs of a group whose output sites are of [first, last): within a group they are in the order of output sites.
  PairRange of(int group, int first, int last) const;
};

// The middle tap comes last: at stride 1 it reaches every site, so that what follows the sum can be done with it.
void find_pairs(const Sites& in, const Sites& out, Pairs& pairs);

}  // namespace hoi
