// Checks the engine without Python, for processors that are only emulated: random networks in every instruction set of
// the build, against sums in double precision over all pixels and a mask. Prints what was checked; fails with status 1.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "../../hoi_core/native/plan.h"

namespace {

constexpr double kTolerance = 1e-4;
constexpr int kNetworks = 20;

std::mt19937 randomness(0);

double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(randomness); }

template <class T>
T one_of(const std::vector<T>& choices) {
  return choices[std::uniform_int_distribution<std::size_t>(0, choices.size() - 1)(randomness)];
}

// Features of every pixel, (channels, size, size), and which pixels are sites.
struct Map {
  int channels, size;
  std::vector<double> values;
  std::vector<bool> site;
  Map(int c, int s) : channels(c), size(s), values(static_cast<std::size_t>(c) * s * s), site(s * s) {}
  double& at(int c, int y, int x) { return values[(static_cast<std::size_t>(c) * size + y) * size + x]; }
  double at(int c, int y, int x) const { return values[(static_cast<std::size_t>(c) * size + y) * size + x]; }
};

struct Layer {
  hoi::Convolution conv;
  std::vector<float> weight, bias;
};

Layer random_layer(int c_in, int c_out, int kernel, int stride, bool relu) {
  Layer layer;
  layer.conv.c_in = c_in;
  layer.conv.c_out = c_out;
  layer.conv.kernel = kernel;
  layer.conv.stride = stride;
  layer.conv.relu = relu;
  layer.weight.resize(static_cast<std::size_t>(c_out) * c_in * kernel * kernel);
  layer.bias.resize(c_out);
  for (float& w : layer.weight) w = static_cast<float>(uniform(-1.0, 1.0));
  for (float& b : layer.bias) b = static_cast<float>(uniform(-0.5, 0.5));
  return layer;
}

Map random_image(int channels, int size, double occupancy) {
  Map image(channels, size);
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      if (uniform(0.0, 1.0) >= occupancy) continue;
      image.site[y * size + x] = true;
      const int known = one_of<int>({0, channels - 1});  // of some sites one channel alone is not zero
      for (int c = 0; c < channels; ++c) image.at(c, y, x) = c >= known ? static_cast<float>(uniform(0.01, 1.0)) : 0.0;
    }
  }
  return image;
}

Map coarser(const Map& in, int channels, int stride) {
  Map out(channels, in.size / stride);
  for (int y = 0; y < in.size; ++y) {
    for (int x = 0; x < in.size; ++x) {
      if (in.site[y * in.size + x]) out.site[(y / stride) * out.size + x / stride] = true;
    }
  }
  return out;
}

// The definition: a convolution over all pixels, zeros around the image, then the residual, ReLU and the mask.
Map convolved(const Map& in, const Layer& layer, const Map* residual) {
  const hoi::Convolution& conv = layer.conv;
  Map out = coarser(in, conv.c_out, conv.stride);
  const int half = conv.kernel / 2;
  for (int k = 0; k < conv.c_out; ++k) {
    for (int y = 0; y < out.size; ++y) {
      for (int x = 0; x < out.size; ++x) {
        if (!out.site[y * out.size + x]) continue;
        double sum = layer.bias[k] + (residual != nullptr ? residual->at(k, y, x) : 0.0);
        for (int c = 0; c < conv.c_in; ++c) {
          for (int t = 0; t < conv.taps(); ++t) {
            const int v = y * conv.stride + t / conv.kernel - half, u = x * conv.stride + t % conv.kernel - half;
            if (v < 0 || u < 0 || v >= in.size || u >= in.size) continue;
            sum += in.at(c, v, u) * layer.weight[(static_cast<std::size_t>(k) * conv.c_in + c) * conv.taps() + t];
          }
        }
        out.at(k, y, x) = conv.relu ? std::max(sum, 0.0) : sum;
      }
    }
  }
  return out;
}

// 3 x 3 maximum with stride 2 of values that are not negative, so that zeros off the sites never win.
Map pooled(const Map& in) {
  Map out = coarser(in, in.channels, 2);
  for (int c = 0; c < in.channels; ++c) {
    for (int y = 0; y < out.size; ++y) {
      for (int x = 0; x < out.size; ++x) {
        if (!out.site[y * out.size + x]) continue;
        for (int v = std::max(2 * y - 1, 0); v <= std::min(2 * y + 1, in.size - 1); ++v) {
          for (int u = std::max(2 * x - 1, 0); u <= std::min(2 * x + 1, in.size - 1); ++u) {
            out.at(c, y, x) = std::max(out.at(c, y, x), in.at(c, v, u));
          }
        }
      }
    }
  }
  return out;
}

// Largest difference over the largest value.
double difference(const std::vector<float>& got, const Map& expected) {
  double worst = 0.0, largest = 1e-6;
  for (std::size_t i = 0; i < got.size(); ++i) {
    worst = std::max(worst, std::abs(got[i] - expected.values[i]));
    largest = std::max(largest, std::abs(expected.values[i]));
  }
  return std::isfinite(worst) ? worst / largest : HUGE_VAL;
}

// Image -> convolution -> pooling -> convolution, a strided shortcut beside it, ReLU.
double check_network(const std::string& set) {
  const int stem_stride = one_of<int>({1, 2}), stride = one_of<int>({1, 2});
  const int size = one_of<int>({1, 2, 3, 5}) * 2 * stem_stride * stride;
  const int channels = one_of<int>({1, 2, 3}), middle = one_of<int>({1, 5, 16, 23, 70}), last = one_of<int>({3, 16, 33, 67});
  const Layer stem = random_layer(channels, middle, one_of<int>({1, 3, 7}), stem_stride, true);
  const Layer body = random_layer(middle, last, one_of<int>({1, 3, 5}), stride, one_of<int>({0, 1}) == 1);
  const Layer shortcut = random_layer(middle, last, 1, stride, false);

  hoi::Plan plan(size, channels, set);
  const int x = plan.convolve(0, stem.conv, stem.weight.data(), stem.bias.data(), -1);
  const int p = plan.max_pool(x);
  const int kept = plan.convolve(p, shortcut.conv, shortcut.weight.data(), shortcut.bias.data(), -1);
  const int y = plan.convolve(p, body.conv, body.weight.data(), body.bias.data(), kept);
  plan.finish({x, y});

  double worst = 0.0;
  for (const double occupancy : {0.0, 0.05, 0.3, 1.0}) {
    const Map image = random_image(channels, size, occupancy);
    const Map expected_x = convolved(image, stem, nullptr);
    const Map expected_p = pooled(expected_x);
    const Map expected_kept = convolved(expected_p, shortcut, nullptr);
    const Map expected_y = convolved(expected_p, body, &expected_kept);
    std::vector<float> pixels(image.values.begin(), image.values.end());
    std::vector<float> got_x(expected_x.values.size(), NAN), got_y(expected_y.values.size(), NAN);
    plan.run(pixels.data(), {got_x.data(), got_y.data()}, false);
    worst = std::max({worst, difference(got_x, expected_x), difference(got_y, expected_y)});
  }
  return worst;
}

// A convolution in bytes and the numbers it points to.
struct WholeLayer {
  hoi::ByteLayer layer;
  std::vector<std::int8_t> weight;
  std::vector<std::int32_t> bias;
  std::vector<float> multiplier;
};

WholeLayer random_whole_layer(int c_in, int c_out, int kernel, int stride, int largest, bool relu) {
  WholeLayer made;
  made.layer.shape = random_layer(c_in, c_out, kernel, stride, relu).conv;
  made.layer.zero = relu ? 0 : one_of<int>({0, 77, 255});
  for (int i = 0; i < c_out * c_in * kernel * kernel; ++i) {
    const int small = static_cast<int>(uniform(-20.0, 20.0));
    made.weight.push_back(static_cast<std::int8_t>(one_of<int>({-largest, largest - 1, small})));
  }
  const double spread = 100.0 * largest * std::sqrt(c_in * kernel * kernel);
  for (int k = 0; k < c_out; ++k) {
    made.bias.push_back(static_cast<int>(uniform(-5000.0, 5000.0)));
    made.multiplier.push_back(static_cast<float>(uniform(30.0, 200.0) / spread));
  }
  return made;
}

int add_to(hoi::Plan& plan, int source, WholeLayer& made) {
  made.layer.weight = made.weight.data();
  made.layer.bias = made.bias.data();
  made.layer.multiplier = made.multiplier.data();
  return plan.convolve_bytes(source, made.layer);
}

// The definition: whole sums over all pixels, rounded as ONNX defines it, less the zero point, and the mask.
Map rounded(const Map& in, const WholeLayer& made) {
  Layer sums{made.layer.shape, {made.weight.begin(), made.weight.end()}, {made.bias.begin(), made.bias.end()}};
  sums.conv.relu = false;
  Map out = convolved(in, sums, nullptr);
  const int cells = out.size * out.size, zero = made.layer.zero;
  for (int i = 0; i < out.channels * cells; ++i) {
    if (!out.site[i % cells]) continue;
    const float scaled = static_cast<float>(out.values[i]) * made.multiplier[i / cells];
    const double byte = std::min(std::max(std::nearbyint(static_cast<double>(scaled)) + zero, 0.0), 255.0);
    out.values[i] = std::max(byte - zero, made.layer.shape.relu ? 0.0 : -255.0);
  }
  return out;
}

// Image -> convolution -> convolution in bytes: how many numbers differ.
double check_bytes(const std::string& set) {
  const int stem_stride = one_of<int>({1, 2}), stride = one_of<int>({1, 2}), largest = one_of<int>({64, 128});
  const int size = one_of<int>({1, 2, 3, 5}) * stem_stride * stride, channels = one_of<int>({1, 2, 3});
  const int middle = one_of<int>({1, 5, 16, 23, 70}), last = one_of<int>({3, 16, 33, 67});
  WholeLayer stem = random_whole_layer(channels, middle, one_of<int>({1, 3, 7}), stem_stride, largest, true);
  WholeLayer body = random_whole_layer(middle, last, one_of<int>({1, 3, 5}), stride, largest, one_of<int>({0, 1}) == 1);
  hoi::Plan plan(size, channels, set, one_of<int>({1, 2, 3}));
  plan.take_bytes(1.0F, 1.0F, largest);
  const int x = add_to(plan, 0, stem);
  plan.finish({x, add_to(plan, x, body)});

  double worst = 0.0;
  for (const double occupancy : {0.0, 0.05, 0.3, 1.0}) {
    Map image = random_image(channels, size, occupancy);
    for (double& value : image.values) value = std::ceil(value * 255.0);
    const Map expected_x = rounded(image, stem), expected_y = rounded(expected_x, body);
    std::vector<float> pixels(image.values.begin(), image.values.end());
    std::vector<float> got_x(expected_x.values.size(), NAN), got_y(expected_y.values.size(), NAN);
    plan.run(pixels.data(), {got_x.data(), got_y.data()}, false);
    worst = std::max({worst, difference(got_x, expected_x), difference(got_y, expected_y)});
  }
  return worst;
}

}  // namespace

int main() {
  bool good = true;
  for (const hoi::Kernels* kernels : hoi::usable_kernels()) {
    randomness.seed(0);
    double worst = 0.0;
    for (int n = 0; n < kNetworks; ++n) worst = std::max(worst, check_network(kernels->name));
    for (int n = 0; n < kNetworks; ++n) {
      if (check_bytes(kernels->name) > 0.0) worst = HUGE_VAL;
    }
    good = good && worst <= kTolerance;
    std::printf("%s: %d networks in floats and in bytes, largest difference %.1e: %s\n", kernels->name, kNetworks,
                worst, worst <= kTolerance ? "equal to the reference" : "DIFFERENT");
  }
  return good ? 0 : 1;
}
