#include "hand.h"

#include <algorithm>
#include <cmath>

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
  return encoder;
}

std::vector<std::int32_t> cells_above(int side) {
  std::vector<std::int32_t> above;
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) above.push_back((y / 2) * (side / 2) + x / 2);
  }
  return above;
}

// A place between the first and the last cell; what is no number is the first.
float inside(float place, int side) { return place > 0.0F ? std::min(place, static_cast<float>(side - 1)) : 0.0F; }

}  // namespace

Hand::Grid::Grid(const Plan& plan, int output) {
  const Value& value = plan.value(plan.outputs()[output]);
  side = plan.cells(value.level);
  rows = Rows(side * side, value.channels);
  planes.resize(static_cast<std::size_t>(side) * side * value.channels);
}

void Hand::Grid::to_rows() {
  for (int c = 0; c < rows.channels; ++c) {
    const float* plane = planes.data() + static_cast<std::int64_t>(c) * rows.count;
    float* to = rows.values.get() + c;
    for (int i = 0; i < rows.count; ++i, to += rows.step()) *to = plane[i];
  }
}

Hand::Hand(Plan& encoder, const HandWeights& weights, const EdgeSettings& edges)
    : encoder_(encoder),
      edges_(encoder.size(), edges),
      image_(static_cast<std::size_t>(kImageChannels) * encoder.size() * encoder.size()),
      x8_(checked(encoder, weights), 0),
      x16_(encoder, 1),
      x32_(encoder, 2),
      planes_{x8_.planes.data(), x16_.planes.data(), x32_.planes.data()},
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
      peak_(heatmap_.c_out()),
      sum_(heatmap_.c_out()),
      across_(heatmap_.c_out()),
      down_(heatmap_.c_out()),
      decoder_(weights.decoder, smooth16_.c_out(), encoder.kernels()) {}

void Hand::run_crop(const std::uint8_t* pixels, int channels, const HandAnswer& answer) {
  edges_.run(pixels, channels, image_.data());
  run(image_.data(), answer);
}

void Hand::run(const float* image, const HandAnswer& answer) {
  encoder_.run(image, planes_, false);
  for (Grid* grid : {&x8_, &x16_, &x32_}) grid->to_rows();
  lateral32_.run(x32_.rows, p32_, true);
  lateral16_.run(x16_.rows, p16_, true, {&p32_, above16_.data()});
  smooth16_.run(p16_, s16_, true);
  reduce16_.run(s16_, r16_, false);
  lateral8_.run(x8_.rows, p8_, true, {&r16_, above8_.data()});
  smooth8_.run(p8_, s8_, true);
  heatmap_.run(s8_, heat_, false);
  find_joints(answer);
  find_depth(answer.depth);
  gather(answer.uv);
  decoder_.run(joints_, answer.vertices);
}

// Expectation of the softmax of each joint's map, and its peak; -1 and 1 are the outer edges of the grid.
void Hand::find_joints(const HandAnswer& answer) {
  const int joints = heat_.channels, side = x8_.side;
  std::copy_n(heat_.at(0), joints, peak_.begin());
  for (int i = 1; i < heat_.count; ++i) {
    for (int j = 0; j < joints; ++j) peak_[j] = std::max(peak_[j], heat_.at(i)[j]);
  }
  for (std::vector<float>* sums : {&sum_, &across_, &down_}) std::fill(sums->begin(), sums->end(), 0.0F);
  for (int i = 0; i < heat_.count; ++i) {
    const float x = static_cast<float>(2 * (i % side) + 1) / side - 1.0F;
    const float y = static_cast<float>(2 * (i / side) + 1) / side - 1.0F;
    const float* row = heat_.at(i);
    for (int j = 0; j < joints; ++j) {
      const float p = std::exp(row[j] - peak_[j]);
      sum_[j] += p;
      across_[j] += p * x;
      down_[j] += p * y;
    }
  }
  for (int j = 0; j < joints; ++j) {
    answer.uv[2 * j] = across_[j] / sum_[j];
    answer.uv[2 * j + 1] = down_[j] / sum_[j];
    answer.confidence[j] = 1.0F / sum_[j];
  }
}

void Hand::find_depth(float* depth) {
  const int cells = x32_.rows.count;
  for (int c = 0; c < x32_.rows.channels; ++c) {
    const float* plane = x32_.planes.data() + static_cast<std::int64_t>(c) * cells;
    float sum = 0.0F;
    for (int i = 0; i < cells; ++i) sum += plane[i];
    pooled_.at(0)[c] = sum / static_cast<float>(cells);
  }
  depth_hidden_.run(pooled_, hidden_, true);
  depth_out_.run(hidden_, depth_, false);
  std::copy_n(depth_.at(0), depth_.channels, depth);
}

// Features at the joints, linear between the cells' centres; beyond the outer ones they go on.
void Hand::gather(const float* uv) {
  const int side = x16_.side;
  for (int j = 0; j < joints_.count; ++j) {
    const float x = inside(((uv[2 * j] + 1.0F) * side - 1.0F) / 2.0F, side);
    const float y = inside(((uv[2 * j + 1] + 1.0F) * side - 1.0F) / 2.0F, side);
    const int left = static_cast<int>(x), top = static_cast<int>(y);
    const int right = std::min(left + 1, side - 1), bottom = std::min(top + 1, side - 1);
    const float fx = x - static_cast<float>(left), fy = y - static_cast<float>(top);
    const float *a = s16_.at(top * side + left), *b = s16_.at(top * side + right);
    const float *c = s16_.at(bottom * side + left), *d = s16_.at(bottom * side + right);
    float* out = joints_.at(j);
    for (int k = 0; k < joints_.channels; ++k) {
      out[k] = (1.0F - fy) * ((1.0F - fx) * a[k] + fx * b[k]) + fy * ((1.0F - fx) * c[k] + fx * d[k]);
    }
  }
}

}  // namespace hoi
