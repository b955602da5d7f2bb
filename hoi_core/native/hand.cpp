#include "hand.h"

#include <algorithm>

namespace hoi {
namespace {

constexpr int kImageChannels = 3;
constexpr int kOutputs = 3;

// The encoder's channels at strides 8, 16, 32 must be what the heads read, and the heads must fit each other.
const Plan& checked(const Plan& encoder, const HandWeights& w) {
  demand(encoder.channels() == kImageChannels && encoder.outputs().size() == kOutputs,
              "an encoder of three channels and three outputs");
  for (int i = 0; i < kOutputs; ++i) {
    demand(encoder.value(encoder.outputs()[i]).level == i + 3, "outputs at strides 8, 16 and 32");
  }
  const auto channels = [&](int output) { return encoder.value(encoder.outputs()[output]).channels; };
  demand(w.lateral8.c_in == channels(0) && w.lateral16.c_in == channels(1) && w.lateral32.c_in == channels(2) &&
                  w.depth_hidden.c_in == channels(2),
              "heads that read the encoder's channels");
  demand(w.lateral16.c_out == w.lateral32.c_out && w.smooth16.c_in == w.lateral16.c_out &&
                  w.reduce16.c_in == w.smooth16.c_out && w.lateral8.c_out == w.reduce16.c_out &&
                  w.smooth8.c_in == w.lateral8.c_out && w.heatmap.c_in == w.smooth8.c_out &&
                  w.depth_out.c_in == w.depth_hidden.c_out,
              "heads whose channels fit");
  demand(w.heatmap.c_out == w.decoder.lift.columns && w.depth_out.c_out == w.heatmap.c_out + 1,
              "as many joints everywhere");
  for (const Layer* layer : {&w.lateral32, &w.lateral16, &w.reduce16, &w.lateral8, &w.heatmap}) {
    demand(layer->kernel == 1, "1x1 convolutions between grids");
  }
  demand(w.smooth16.kernel % 2 == 1 && w.smooth8.kernel % 2 == 1, "odd kernels");
  for (int i = 0; i < kOutputs; ++i) {
    demand(!encoder.value(encoder.outputs()[i]).is_bytes, "an encoder in floats");
  }
  return encoder;
}

}  // namespace

Hand::Grid::Grid(const Plan& plan, int number) : output(number) {
  const Value& value = plan.value(plan.outputs()[output]);
  side = plan.cells(value.level);
  rows = Rows(side * side, value.channels);
}

void Hand::Grid::take(const Plan& plan) { plan.spread(output, rows.values.get()); }

Hand::Hand(Plan& encoder, const HandWeights& weights, const EdgeSettings& edges)
    : encoder_(encoder),
      edges_(encoder.size(), edges),
      image_(static_cast<std::size_t>(kImageChannels) * encoder.size() * encoder.size()),
      x8_(checked(encoder, weights), 0),
      x16_(encoder, 1),
      x32_(encoder, 2),
      above16_(cells_above(x16_.side)),
      above8_(cells_above(x8_.side)),
      lateral32_(grid_product(weights.lateral32, x32_.side, encoder.kernels())),
      lateral16_(grid_product(weights.lateral16, x16_.side, encoder.kernels())),
      smooth16_(grid_product(weights.smooth16, x16_.side, encoder.kernels())),
      reduce16_(grid_product(weights.reduce16, x16_.side, encoder.kernels())),
      lateral8_(grid_product(weights.lateral8, x8_.side, encoder.kernels())),
      smooth8_(grid_product(weights.smooth8, x8_.side, encoder.kernels())),
      heatmap_(grid_product(weights.heatmap, x8_.side, encoder.kernels())),
      depth_hidden_(row_product(weights.depth_hidden, 1, encoder.kernels())),
      depth_out_(row_product(weights.depth_out, 1, encoder.kernels())),
      p32_(x32_.rows.count, lateral32_.c_out()),
      p16_(x16_.rows.count, lateral16_.c_out()),
      s16_(x16_.rows.count, smooth16_.c_out()),
      r16_(x16_.rows.count, reduce16_.c_out()),
      p8_(x8_.rows.count, lateral8_.c_out()),
      s8_(x8_.rows.count, smooth8_.c_out()),
      heat_(x8_.rows.count, heatmap_.c_out()),
      pooled_(1, x32_.rows.channels),
      hidden_(1, depth_hidden_.c_out()),
      depth_(1, depth_out_.c_out()),
      joints_(heatmap_.c_out(), smooth16_.c_out()),
      soft_argmax_(heatmap_.c_out(), x8_.side),
      decoder_(weights.decoder, smooth16_.c_out(), encoder.kernels()) {}

void Hand::run_crop(const std::uint8_t* pixels, int channels, const HandAnswer& answer) {
  edges_.run(pixels, channels, image_.data());
  run(image_.data(), answer);
}

void Hand::run(const float* image, const HandAnswer& answer) {
  encoder_.compute(image, false);
  for (Grid* grid : {&x8_, &x16_, &x32_}) grid->take(encoder_);
  lateral32_.run(x32_.rows, p32_, true);
  lateral16_.run(x16_.rows, p16_, true, {&p32_, above16_.data()});
  smooth16_.run(p16_, s16_, true);
  reduce16_.run(s16_, r16_, false);
  lateral8_.run(x8_.rows, p8_, true, {&r16_, above8_.data()});
  smooth8_.run(p8_, s8_, true);
  heatmap_.run(s8_, heat_, false);
  soft_argmax_.run(heat_.values.get(), heat_.step(), answer);
  find_depth(answer.depth);
  gather(answer.uv);
  decoder_.run(joints_, answer.vertices);
}

void Hand::find_depth(float* depth) {
  const Rows& cells = x32_.rows;
  float* mean = pooled_.at(0);
  std::fill_n(mean, cells.channels, 0.0F);
  for (int i = 0; i < cells.count; ++i) {
    const float* row = cells.at(i);
    for (int c = 0; c < cells.channels; ++c) mean[c] += row[c];
  }
  for (int c = 0; c < cells.channels; ++c) mean[c] /= static_cast<float>(cells.count);
  depth_hidden_.run(pooled_, hidden_, true);
  depth_out_.run(hidden_, depth_, false);
  std::copy_n(depth_.at(0), depth_.channels, depth);
}

// Features at the joints, linear between the cells' centres.
void Hand::gather(const float* uv) {
  for (int j = 0; j < joints_.count; ++j) {
    const Corners near(uv + 2 * j, x16_.side);
    const float *a = s16_.at(near.cell[0]), *b = s16_.at(near.cell[1]);
    const float *c = s16_.at(near.cell[2]), *d = s16_.at(near.cell[3]);
    const float* w = near.share;
    float* out = joints_.at(j);
    for (int k = 0; k < joints_.channels; ++k) out[k] = w[0] * a[k] + w[1] * b[k] + w[2] * c[k] + w[3] * d[k];
  }
}

}  // namespace hoi
