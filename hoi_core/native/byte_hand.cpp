#include "byte_hand.h"

#include <algorithm>

#include "limits.h"
#include "rounding.h"

namespace hoi {
namespace {

constexpr int kImageChannels = 3;
constexpr int kOutputs = 3;

const Value& output_of(const Plan& encoder, int number) { return encoder.value(encoder.outputs()[number]); }

// The encoder's channels at strides 8, 16, 32 must be what the heads read, and the heads must fit each other.
Plan& checked(Plan& encoder, const ByteHandWeights& w) {
  demand(encoder.channels() == kImageChannels && encoder.outputs().size() == kOutputs,
         "an encoder of three channels and three outputs");
  for (int i = 0; i < kOutputs; ++i) {
    const Value& value = output_of(encoder, i);
    demand(value.level == i + 3, "outputs at strides 8, 16 and 32");
    demand(value.is_bytes && value.zero == 0, "an encoder in bytes whose zero points are 0");
  }
  const auto c_in = [](const ByteLayer& layer) { return layer.shape.c_in; };
  const auto c_out = [](const ByteLayer& layer) { return layer.shape.c_out; };
  const int c32 = output_of(encoder, 2).channels;
  demand(c_in(w.lateral8) == output_of(encoder, 0).channels && c_in(w.lateral16) == output_of(encoder, 1).channels &&
             c_in(w.lateral32) == c32 && c_in(w.depth_hidden) == c32,
         "heads that read the encoder's channels");
  demand(c_out(w.lateral16) == c_out(w.lateral32) && c_in(w.smooth16) == c_out(w.lateral16) &&
             c_in(w.reduce16) == c_out(w.smooth16) && c_out(w.lateral8) == c_out(w.reduce16) &&
             c_in(w.smooth8) == c_out(w.lateral8) && c_in(w.heatmap) == c_out(w.smooth8) &&
             c_in(w.depth_out) == c_out(w.depth_hidden),
         "heads whose channels fit");
  demand(c_out(w.heatmap) == w.decoder.lift.columns && c_out(w.depth_out) == c_out(w.heatmap) + 1,
         "as many joints everywhere");
  for (const ByteLayer* layer : {&w.lateral32, &w.lateral16, &w.reduce16, &w.lateral8, &w.heatmap}) {
    demand(layer->shape.kernel == 1, "1x1 convolutions between grids");
  }
  demand(is_scale(w.pooled_ratio) && is_scale(w.joints_ratio), "scales above 0");
  return encoder;
}

}  // namespace

ByteHand::ByteHand(Plan& encoder, const ByteHandWeights& w, const EdgeSettings& edges)
    : encoder_(checked(encoder, w)),
      kernels_(byte_kernels(encoder.kernels(), w.largest_weight)),
      edges_(encoder.size(), edges),
      image_(static_cast<std::size_t>(kImageChannels) * encoder.size() * encoder.size()),
      side8_(encoder.cells(output_of(encoder, 0).level)),
      side16_(encoder.cells(output_of(encoder, 1).level)),
      side32_(encoder.cells(output_of(encoder, 2).level)),
      above16_(cells_above(side16_)),
      above8_(cells_above(side8_)),
      lateral32_(grid_product(w.lateral32, side32_, kernels_)),
      lateral16_(grid_product(w.lateral16, side16_, kernels_)),
      smooth16_(grid_product(w.smooth16, side16_, kernels_)),
      reduce16_(grid_product(w.reduce16, side16_, kernels_)),
      lateral8_(grid_product(w.lateral8, side8_, kernels_)),
      smooth8_(grid_product(w.smooth8, side8_, kernels_)),
      heatmap_(grid_product(w.heatmap, side8_, kernels_)),
      depth_hidden_(row_product(w.depth_hidden, 1, kernels_)),
      depth_out_(row_product(w.depth_out, 1, kernels_)),
      x8_(side8_ * side8_, lateral8_.c_in()),
      x16_(side16_ * side16_, lateral16_.c_in()),
      x32_(side32_ * side32_, lateral32_.c_in()),
      p32_(x32_.count, lateral32_.c_out()),
      p16_(x16_.count, lateral16_.c_out()),
      s16_(x16_.count, smooth16_.c_out()),
      r16_(x16_.count, reduce16_.c_out()),
      p8_(x8_.count, lateral8_.c_out()),
      s8_(x8_.count, smooth8_.c_out()),
      pooled_(1, depth_hidden_.c_in()),
      hidden_(1, depth_hidden_.c_out()),
      joints_(heatmap_.c_out(), smooth16_.c_out()),
      pooled_ratio_(w.pooled_ratio),
      joints_ratio_(w.joints_ratio),
      heat_(static_cast<std::size_t>(x8_.count) * heatmap_.c_out()),
      totals_(pooled_.channels),
      soft_argmax_(heatmap_.c_out(), side8_),
      decoder_(w.decoder, smooth16_.c_out(), kernels_) {
  ByteNeeds needs = decoder_.needs();
  for (const ByteProduct* product : {&lateral32_, &lateral16_, &smooth16_, &reduce16_, &lateral8_, &smooth8_, &heatmap_,
                                     &depth_hidden_, &depth_out_}) {
    needs.grow(product->needs());
  }
  sums_ = make_buffer<std::int32_t>(needs.sums);
  widened_ = make_buffer<std::int16_t>(needs.widened);
  scratch_ = {sums_.get(), widened_.get()};
}

void ByteHand::run_crop(const std::uint8_t* pixels, int channels, const HandAnswer& answer) {
  edges_.run(pixels, channels, image_.data());
  run(image_.data(), answer);
}

void ByteHand::run(const float* image, const HandAnswer& answer) {
  encoder_.compute(image, false);
  encoder_.spread(0, x8_.values.get());
  encoder_.spread(1, x16_.values.get());
  encoder_.spread(2, x32_.values.get());
  lateral32_.run(x32_, p32_, scratch_);
  lateral16_.run(x16_, p16_, scratch_, {&p32_, above16_.data()});
  smooth16_.run(p16_, s16_, scratch_);
  reduce16_.run(s16_, r16_, scratch_);
  lateral8_.run(x8_, p8_, scratch_, {&r16_, above8_.data()});
  smooth8_.run(p8_, s8_, scratch_);
  heatmap_.run_reals(s8_, heat_.data(), scratch_);
  soft_argmax_.run(heat_.data(), heatmap_.c_out(), answer);
  find_depth(answer.depth);
  gather(answer.uv);
  decoder_.run(joints_, answer.vertices, scratch_);
}

void ByteHand::find_depth(float* depth) {
  std::fill(totals_.begin(), totals_.end(), 0);
  for (int i = 0; i < x32_.count; ++i) {
    const std::uint8_t* row = x32_.at(i);
    for (std::size_t c = 0; c < totals_.size(); ++c) totals_[c] += row[c];
  }
  const float ratio = pooled_ratio_ / static_cast<float>(x32_.count);
  for (std::size_t c = 0; c < totals_.size(); ++c) pooled_.at(0)[c] = byte_of(static_cast<float>(totals_[c]) * ratio, 1.0F);
  depth_hidden_.run(pooled_, hidden_, scratch_);
  depth_out_.run_reals(hidden_, depth, scratch_);
}

// Features at the joints, linear between the cells' centres.
void ByteHand::gather(const float* uv) {
  for (int j = 0; j < joints_.count; ++j) {
    const Corners near(uv + 2 * j, side16_);
    const std::uint8_t *a = s16_.at(near.cell[0]), *b = s16_.at(near.cell[1]);
    const std::uint8_t *c = s16_.at(near.cell[2]), *d = s16_.at(near.cell[3]);
    float w[4];
    for (int i = 0; i < 4; ++i) w[i] = near.share[i] * joints_ratio_;
    std::uint8_t* out = joints_.at(j);
    for (int k = 0; k < joints_.channels; ++k) {
      out[k] = byte_of(static_cast<float>(a[k]) * w[0] + static_cast<float>(b[k]) * w[1] +
                       static_cast<float>(c[k]) * w[2] + static_cast<float>(d[k]) * w[3],
                       1.0F);
    }
  }
}

}  // namespace hoi
