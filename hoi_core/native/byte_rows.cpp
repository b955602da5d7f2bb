#include "byte_rows.h"

#include <algorithm>
#include <numeric>

#include "limits.h"

namespace hoi {
namespace {

// Sums of so many products of a byte and a weight are whole numbers that a float holds.
constexpr int kMostExact = 512;

std::vector<std::int8_t> in_order(const ByteLayer& layer, const Pairs& pairs, const ByteKernels& kernels) {
  demand_numbers(layer, kernels.largest_weight);
  return matrix_of(layer, pairs.tap);
}

ByteWeights packed(const ByteLayer& layer, const Pairs& pairs, const ByteKernels& kernels) {
  const std::vector<std::int8_t> matrix = in_order(layer, pairs, kernels);
  const Convolution& shape = layer.shape;
  return {{shape.taps(), shape.c_in, shape.c_out, matrix.data(), layer.bias, layer.multiplier}, kernels};
}

}  // namespace

void ByteNeeds::grow(const ByteNeeds& other) {
  sums = std::max(sums, other.sums);
  widened = std::max(widened, other.widened);
}

ByteProduct::ByteProduct(const ByteLayer& layer, Pairs pairs, int rows, const ByteKernels& kernels)
    : shape_(layer.shape),
      weights_(packed(layer, pairs, kernels)),
      rounding_(layer),
      pairs_(std::move(pairs)),
      rows_(rows) {}

ByteNeeds ByteProduct::needs() const {
  return {std::int64_t{rows_} * weights_.kernels().panel, widened_for(weights_.channels())};
}

void ByteProduct::demand_rows(const ByteRows& in) const {
  demand(in.count == rows_ && in.channels >= shape_.c_in, "rows of a product's own shape");
}

void ByteProduct::run(const ByteRows& in, ByteRows& out, ByteScratch scratch, ByteStart start) const {
  demand_rows(in);
  const ByteTask task{in.values.get(), in.step(), out.values.get(), out.step(), scratch};
  for (int p = 0; p < weights_.panels(); ++p) {
    const std::uint8_t* kept = start.rows == nullptr ? nullptr : start.rows->values.get() + weights_.first(p);
    Rounding rounding = rounding_.in(weights_, p, kept);
    rounding.kept_row = start.index;
    multiply_panel(weights_, pairs_, task, p, {0, rows_, rows_}, &rounding);
  }
}

void ByteProduct::run_reals(const ByteRows& in, float* out, ByteScratch scratch) const {
  demand_rows(in);
  const int panel = weights_.kernels().panel;
  const ByteTask task{in.values.get(), in.step(), nullptr, 0, scratch};
  for (int p = 0; p < weights_.panels(); ++p) {
    multiply_panel(weights_, pairs_, task, p, {0, rows_, rows_}, nullptr);
    const int first = weights_.first(p), here = std::min(weights_.width(p), shape_.c_out - first);
    const float* step = weights_.multiplier(p);
    for (std::int64_t i = 0; i < rows_; ++i) {
      const std::int32_t* sums = scratch.sums + i * panel;
      float* to = out + i * shape_.c_out + first;
      for (int k = 0; k < here; ++k) to[k] = static_cast<float>(sums[k]) * step[k];
    }
  }
}

ByteProduct grid_product(const ByteLayer& layer, int cells_along_side, const ByteKernels& kernels) {
  Sites all;
  all.reserve(cells_along_side);
  std::iota(all.row.begin(), all.row.end(), 0);
  for (int i = 0; i < cells_along_side * cells_along_side; ++i) {
    all.y.push_back(static_cast<std::int16_t>(i / cells_along_side));
    all.x.push_back(static_cast<std::int16_t>(i % cells_along_side));
  }
  demand(layer.shape.kernel % 2 == 1 && layer.shape.kernel <= kLargestKernel, "odd kernels of 1 to 15");
  Pairs pairs;
  pairs.reserve(layer.shape.kernel, 1, all.count());
  find_pairs(all, all, pairs);
  return {layer, std::move(pairs), all.count(), kernels};
}

ByteProduct row_product(const ByteLayer& layer, int rows, const ByteKernels& kernels) {
  demand(layer.shape.kernel == 1, "a linear map");
  Pairs pairs;
  pairs.reserve(1, 1, rows);
  pairs.from.resize(rows);
  std::iota(pairs.from.begin(), pairs.from.end(), 0);
  pairs.to = pairs.from;
  pairs.begin = {0, rows};
  return {layer, std::move(pairs), rows, kernels};
}

ByteVertexMap::ByteVertexMap(const ByteMapWeights& weights, const ByteKernels& kernels)
    : kernels_(kernels), columns_(weights.columns), begin_(1, 0) {
  for (const int zero : {weights.zero_in, weights.zero, weights.again_zero}) {
    demand(zero >= 0 && zero <= 255, "a zero point of 0 to 255");
  }
  demand(is_scale(weights.ratio) && std::isfinite(weights.fixed), "scales above 0");
  rounding_.zero = weights.zero;
  rounding_.low = -static_cast<float>(weights.zero);
  rounding_.high = 255.0F - static_cast<float>(weights.zero);
  rounding_.own_ratio = weights.ratio;
  rounding_.fixed = weights.fixed;
  rounding_.again_zero = weights.again_zero;
  for (int r = 0; r < weights.rows; ++r) {
    demand(is_scale(weights.multiplier[r]), "scales above 0");
    multiplier_.push_back(weights.multiplier[r]);
    int sum = 0;
    for (int c = 0; c < weights.columns; ++c) {
      const bool is_own = weights.weight == nullptr;
      const int weight = is_own ? c == r : weights.weight[static_cast<std::int64_t>(r) * weights.columns + c];
      if (weight == 0) continue;
      sum += weight;
      column_.push_back(c);
      weight_.push_back(static_cast<float>(weight));
    }
    start_.push_back(static_cast<float>(-weights.zero_in * sum));
    begin_.push_back(static_cast<int>(column_.size()));
    demand(begin_[r + 1] - begin_[r] <= kMostExact, "at most 512 weights of a vertex");
  }
}

void ByteVertexMap::run(const ByteRows& in, ByteRows& out, bool again) const {
  demand(in.count == columns_ && out.count == rows() && out.channels <= in.channels, "rows of a map's own shape");
  Rounding rounding = rounding_;
  rounding.again = again;
  ByteMix job;
  job.in = in.values.get();
  job.in_step = in.step();
  job.width = out.step();
  for (int r = 0; r < out.count; ++r) {
    rounding.multiplier = &multiplier_[r];
    job.row = column_.data() + begin_[r];
    job.weight = weight_.data() + begin_[r];
    job.count = begin_[r + 1] - begin_[r];
    job.start = start_[r];
    job.out = out.at(r);
    kernels_.mix(job, rounding);
  }
}

}  // namespace hoi
