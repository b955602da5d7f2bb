#include "mesh.h"

#include <algorithm>

namespace hoi {
namespace {

constexpr int kAxes = 3;

Product spiral_product(const SpiralWeights& weights, int channels, const Kernels& kernels) {
  const Layer& conv = weights.conv;
  demand(weights.length >= 1 && conv.c_in % weights.length == 0, "weights for each vertex of a spiral");
  const int part = conv.c_in / weights.length;
  demand(part >= 1 && part <= channels, "spirals over part of the channels");
  Product product(part, conv.c_out, conv.bias, kernels);
  for (int l = 0; l < weights.length; ++l) {
    std::vector<std::int32_t> from(weights.vertices), to(weights.vertices);
    for (int v = 0; v < weights.vertices; ++v) {
      const std::int64_t neighbour = weights.spirals[static_cast<std::int64_t>(v) * weights.length + l];
      demand(neighbour >= 0 && neighbour < weights.vertices, "spirals of vertices that exist");
      from[v] = static_cast<std::int32_t>(neighbour);
      to[v] = v;
    }
    product.add_tap(conv.weight + static_cast<std::int64_t>(l) * part, conv.c_in, 1, std::move(from), std::move(to));
  }
  return product;
}

}  // namespace

VertexMap::VertexMap(const Matrix& matrix) : columns_(matrix.columns), begin_(1, 0) {
  for (int r = 0; r < matrix.rows; ++r) {
    for (int c = 0; c < matrix.columns; ++c) {
      const float weight = matrix.values[static_cast<std::int64_t>(r) * matrix.columns + c];
      if (weight == 0.0F) continue;
      column_.push_back(c);
      weight_.push_back(weight);
    }
    begin_.push_back(static_cast<int>(column_.size()));
  }
}

void VertexMap::run(const Rows& in, Rows& out) const {
  const int width = out.step();
  for (int r = 0; r < out.count; ++r) {
    float* row = out.at(r);
    std::fill(row, row + width, 0.0F);
    for (int i = begin_[r]; i < begin_[r + 1]; ++i) {
      const float* from = in.at(column_[i]);
      const float weight = weight_[i];
      for (int k = 0; k < width; ++k) row[k] += weight * from[k];
    }
  }
}

SpiralConvolution::SpiralConvolution(const SpiralWeights& weights, int channels, const Kernels& kernels)
    : conv_(spiral_product(weights, channels, kernels)) {
  if (weights.mix.c_out == 0) return;
  demand(weights.mix.c_in == channels && conv_.c_out() == conv_.c_in(), "a map that mixes all channels");
  mix_.emplace(row_product(weights.mix, weights.vertices, kernels));
  convolved_ = Rows(weights.vertices, conv_.c_out());
}

void SpiralConvolution::run(Rows& x, Rows& out, bool relu) {
  if (!mix_) {
    conv_.run(x, out, relu);
    return;
  }
  conv_.run(x, convolved_, false);
  for (int v = 0; v < x.count; ++v) std::copy_n(convolved_.at(v), convolved_.channels, x.at(v));
  mix_->run(x, out, relu);
}

MeshDecoder::MeshDecoder(const DecoderWeights& weights, int channels, const Kernels& kernels)
    : lift_(weights.lift), lifted_(weights.lift.rows, channels) {
  demand(weights.up.size() == weights.convs.size(), "a convolution for each upsampling");
  int count = weights.lift.rows;
  for (std::size_t i = 0; i < weights.up.size(); ++i) {
    const Matrix& up = weights.up[i];
    demand(up.columns == count && weights.convs[i].vertices == up.rows, "upsampling from level to level");
    count = up.rows;
    SpiralConvolution conv(weights.convs[i], channels, kernels);
    const int c_out = conv.c_out();
    levels_.push_back({VertexMap(up), std::move(conv), Rows(count, channels), Rows(count, c_out)});
    channels = c_out;
  }
  demand(weights.last.vertices == count && weights.mean.rows == count && weights.mean.columns == kAxes,
              "a last convolution and a mean of the finest level");
  last_.emplace(weights.last, channels, kernels);
  demand(last_->c_out() == kAxes, "a last convolution to three coordinates");
  last_in_ = Rows(count, channels);
  displaced_ = Rows(count, kAxes);
  mean_.assign(weights.mean.values, weights.mean.values + static_cast<std::size_t>(count) * kAxes);
}

void MeshDecoder::run(const Rows& joints, float* vertices) {
  lift_.run(joints, lifted_);
  const Rows* x = &lifted_;
  for (Level& level : levels_) {
    level.up.run(*x, level.in);
    level.conv.run(level.in, level.out, true);
    x = &level.out;
  }
  std::copy_n(x->values.get(), static_cast<std::int64_t>(x->count) * x->step(), last_in_.values.get());
  last_->run(last_in_, displaced_, false);
  for (int v = 0; v < displaced_.count; ++v) {
    for (int a = 0; a < kAxes; ++a) vertices[v * kAxes + a] = mean_[v * kAxes + a] + displaced_.at(v)[a];
  }
}

}  // namespace hoi
