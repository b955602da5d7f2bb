// Products of rows of features over neighbours that are known beforehand: whole grids, meshes, single rows.
#pragma once

#include <vector>

#include "demand.h"
#include "weights.h"

namespace hoi {

// Weights as they come: (c_out, c_in, kernel, kernel), and a bias (c_out).
struct Layer {
  int c_out = 0, c_in = 0, kernel = 1;
  const float* weight = nullptr;
  const float* bias = nullptr;
};

// Features of cells or vertices, a row each, padded like those of a plan.
struct Rows {
  int count = 0, channels = 0;
  Buffer<float> values;
  Rows() = default;
  Rows(int rows, int width)
      : count(rows), channels(width), values(make_buffer<float>(static_cast<std::size_t>(rows) * padded(width))) {}
  int step() const { return padded(channels); }
  float* at(int row) const { return values.get() + static_cast<std::int64_t>(row) * step(); }
};

// What a product is added to, beside its bias: row index[i] of `rows` to row i.
struct Start {
  const Rows* rows = nullptr;
  const std::int32_t* index = nullptr;
};

// out[to[i]] = bias + start + sum over taps of W_tap in[from[i]].
class Product {
 public:
  Product(int c_in, int c_out, const float* bias, const Kernels& kernels);

  // The weight of input channel c for output channel k is weight[k * step_out + c * step_in].
  void add_tap(const float* weight, int step_out, int step_in, std::vector<std::int32_t> from,
               std::vector<std::int32_t> to);

  // Reads the first channels of each row of `in`.
  void run(const Rows& in, Rows& out, bool relu, Start start = {}) const;

  int c_in() const { return conv_.c_in; }
  int c_out() const { return conv_.c_out; }

 private:
  struct Tap {
    Weights weights;
    std::vector<std::int32_t> from, to;
  };
  Convolution conv_;
  const Kernels& kernels_;
  std::vector<float> bias_;
  std::vector<Tap> taps_;
};

// A convolution with stride 1 over all cells of a grid, zeros around it.
Product grid_product(const Layer& layer, int cells_along_side, const Kernels& kernels);

// The same linear map for each of so many rows.
Product row_product(const Layer& layer, int rows, const Kernels& kernels);

}  // namespace hoi
