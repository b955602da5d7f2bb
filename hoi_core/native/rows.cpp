#include "rows.h"

#include <algorithm>
#include <numeric>

namespace hoi {

Product::Product(int c_in, int c_out, const float* bias, const Kernels& kernels)
    : kernels_(kernels), bias_(padded(c_out)) {
  conv_.c_in = c_in;
  conv_.c_out = c_out;
  std::copy(bias, bias + c_out, bias_.begin());
}

void Product::add_tap(const float* weight, int step_out, int step_in, std::vector<std::int32_t> from,
                      std::vector<std::int32_t> to) {
  std::vector<float> own(static_cast<std::size_t>(conv_.c_out) * conv_.c_in);
  for (int k = 0; k < conv_.c_out; ++k) {
    for (int c = 0; c < conv_.c_in; ++c) {
      own[static_cast<std::size_t>(k) * conv_.c_in + c] =
          weight[static_cast<std::int64_t>(k) * step_out + static_cast<std::int64_t>(c) * step_in];
    }
  }
  taps_.push_back({Weights(conv_, own.data(), bias_.data(), {0}, kernels_), std::move(from), std::move(to)});
}

void Product::run(const Rows& in, Rows& out, bool relu, Start start) const {
  const int width = out.step();
  for (int i = 0; i < out.count; ++i) {
    float* row = out.at(i);
    if (start.rows == nullptr) {
      std::copy(bias_.begin(), bias_.end(), row);
    } else {
      const float* from = start.rows->at(start.index[i]);
      for (int k = 0; k < width; ++k) row[k] = bias_[k] + from[k];
    }
  }
  Gemm job;
  job.in = in.values.get();
  job.in_step = in.step();
  job.out_step = width;
  job.channels = conv_.c_in;
  for (int p = 0; p < taps_.front().weights.panels(); ++p) {
    for (const Tap& tap : taps_) {
      job.out = out.values.get() + tap.weights.first(p);
      job.width = tap.weights.width(p);
      job.weights = tap.weights.at(p, 0);
      job.from = tap.from.data();
      job.to = tap.to.data();
      job.count = static_cast<int>(tap.from.size());
      kernels_.gemm(job);
    }
  }
  if (!relu) return;
  float* values = out.values.get();
  const std::int64_t all = static_cast<std::int64_t>(out.count) * width;
  for (std::int64_t i = 0; i < all; ++i) values[i] = std::max(values[i], 0.0F);
}

Product grid_product(const Layer& layer, int cells_along_side, const Kernels& kernels) {
  Product product(layer.c_in, layer.c_out, layer.bias, kernels);
  const int taps = layer.kernel * layer.kernel, half = layer.kernel / 2, n = cells_along_side;
  for (int t = 0; t < taps; ++t) {
    const int dy = t / layer.kernel - half, dx = t % layer.kernel - half;
    std::vector<std::int32_t> from, to;
    for (int y = std::max(0, -dy); y < std::min(n, n - dy); ++y) {
      for (int x = std::max(0, -dx); x < std::min(n, n - dx); ++x) {
        from.push_back((y + dy) * n + x + dx);
        to.push_back(y * n + x);
      }
    }
    if (!from.empty()) product.add_tap(layer.weight + t, layer.c_in * taps, taps, std::move(from), std::move(to));
  }
  return product;
}

Product row_product(const Layer& layer, int rows, const Kernels& kernels) {
  Product product(layer.c_in, layer.c_out, layer.bias, kernels);
  std::vector<std::int32_t> each(rows);
  std::iota(each.begin(), each.end(), 0);
  product.add_tap(layer.weight, layer.c_in, 1, each, each);
  return product;
}

}  // namespace hoi
