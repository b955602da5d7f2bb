#include "byte_mesh.h"

#include <algorithm>
#include <cstring>

namespace hoi {
namespace {

constexpr int kAxes = 3;

// A few bytes, for which asking the library to copy costs more than to copy.
void copy_few(const std::uint8_t* from, std::uint8_t* to, int count) {
  constexpr int kWord = 8;
  int i = 0;
  for (; i + kWord <= count; i += kWord) std::memcpy(to + i, from + i, kWord);
  for (; i < count; ++i) to[i] = from[i];
}

int part_of(const ByteSpiralWeights& weights, int channels) {
  const int inputs = weights.conv.shape.c_in;
  demand(weights.length >= 1 && inputs % weights.length == 0, "weights for each vertex of a spiral");
  const int part = inputs / weights.length;
  demand(part >= 1 && part <= channels, "spirals over part of the channels");
  return part;
}

}  // namespace

ByteSpiralConvolution::ByteSpiralConvolution(const ByteSpiralWeights& weights, int channels, const ByteKernels& kernels)
    : part_(part_of(weights, channels)),
      length_(weights.length),
      spirals_(static_cast<std::size_t>(weights.vertices) * weights.length),
      conv_(row_product(weights.conv, weights.vertices, kernels)),
      gathered_(weights.vertices, weights.conv.shape.c_in),
      convolved_(weights.vertices, weights.conv.shape.c_out) {
  for (std::size_t i = 0; i < spirals_.size(); ++i) {
    const std::int64_t neighbour = weights.spirals[i];
    demand(neighbour >= 0 && neighbour < weights.vertices, "spirals of vertices that exist");
    spirals_[i] = static_cast<std::int32_t>(neighbour);
  }
  if (weights.mix.shape.c_out == 0) return;
  demand(weights.mix.shape.c_in == channels && conv_.c_out() == part_, "a map that mixes all channels");
  mix_.emplace(row_product(weights.mix, weights.vertices, kernels));
}

ByteNeeds ByteSpiralConvolution::needs() const {
  ByteNeeds needs = conv_.needs();
  if (mix_) needs.grow(mix_->needs());
  return needs;
}

// What a vertex reads of its spiral becomes one row, so that all of it is one product.
void ByteSpiralConvolution::gather(const ByteRows& part) {
  const std::int32_t* neighbour = spirals_.data();
  for (int v = 0; v < gathered_.count; ++v) {
    std::uint8_t* to = gathered_.at(v);
    for (int l = 0; l < length_; ++l, to += part_) copy_few(part.at(*neighbour++), to, part_);
  }
}

void ByteSpiralConvolution::convolve(const ByteRows& part, ByteRows& all, ByteScratch scratch) {
  gather(part);
  conv_.run(gathered_, convolved_, scratch);
  for (int v = 0; v < all.count; ++v) copy_few(convolved_.at(v), all.at(v), part_);
}

void ByteSpiralConvolution::run(const ByteRows& part, ByteRows& all, ByteRows& out, ByteScratch scratch) {
  if (mix_) {
    convolve(part, all, scratch);
    mix_->run(all, out, scratch);
  } else {
    gather(part);
    conv_.run(gathered_, out, scratch);
  }
}

void ByteSpiralConvolution::run_reals(const ByteRows& part, ByteRows& all, float* out, ByteScratch scratch) {
  if (mix_) {
    convolve(part, all, scratch);
    mix_->run_reals(all, out, scratch);
  } else {
    gather(part);
    conv_.run_reals(gathered_, out, scratch);
  }
}

ByteMeshDecoder::ByteMeshDecoder(const ByteDecoderWeights& weights, int channels, const ByteKernels& kernels)
    : lift_(weights.lift, kernels), lifted_(weights.lift.rows, channels) {
  demand(weights.up.size() == weights.convs.size(), "a convolution for each upsampling");
  int count = weights.lift.rows;
  for (std::size_t i = 0; i < weights.up.size(); ++i) {
    const ByteMapWeights& up = weights.up[i];
    demand(up.columns == count && weights.convs[i].vertices == up.rows, "upsampling from level to level");
    count = up.rows;
    ByteSpiralConvolution conv(weights.convs[i], channels, kernels);
    const int part = conv.part(), c_out = conv.c_out();
    levels_.push_back({ByteVertexMap(up, kernels), std::move(conv), ByteRows(count, part), ByteRows(count, channels),
                       ByteRows(count, c_out)});
    channels = c_out;
  }
  demand(weights.last.vertices == count && weights.mean.rows == count && weights.mean.columns == kAxes,
         "a last convolution and a mean of the finest level");
  last_.emplace(weights.last, channels, kernels);
  demand(last_->c_out() == kAxes, "a last convolution to three coordinates");
  demand(weights.last_again.rows == count && weights.last_again.columns == count, "the last step for every vertex");
  last_again_.emplace(weights.last_again, kernels);
  last_all_ = ByteRows(count, channels);
  mean_.assign(weights.mean.values, weights.mean.values + static_cast<std::size_t>(count) * kAxes);
  displaced_.resize(mean_.size());
  mean_count_ = count;
}

ByteNeeds ByteMeshDecoder::needs() const {
  ByteNeeds needs = last_->needs();
  for (const Level& level : levels_) needs.grow(level.conv.needs());
  return needs;
}

void ByteMeshDecoder::run(const ByteRows& joints, float* vertices, ByteScratch scratch) {
  lift_.run(joints, lifted_, false);
  const ByteRows* x = &lifted_;
  for (Level& level : levels_) {
    level.up.run(*x, level.part, false);
    if (level.conv.mixes()) level.up.run(*x, level.all, true);
    level.conv.run(level.part, level.all, level.out, scratch);
    x = &level.out;
  }
  if (last_->mixes()) last_again_->run(*x, last_all_, false);
  last_->run_reals(*x, last_all_, displaced_.data(), scratch);
  for (std::size_t i = 0; i < mean_.size(); ++i) vertices[i] = mean_[i] + displaced_[i];
}

}  // namespace hoi
