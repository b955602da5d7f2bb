// Checks the whole hand network without Python: random ones of odd sizes, in every instruction set of the build, beside
// the plain kernels. (Against ONNX Runtime: tests/learning/test_native_hand.py.) Fails with status 1.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "../../hoi_core/native/hand.h"

namespace {

constexpr double kTolerance = 1e-4;
constexpr unsigned kHands = 8;

std::mt19937 randomness(0);

double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(randomness); }

template <class T>
T one_of(const std::vector<T>& choices) {
  return choices[std::uniform_int_distribution<std::size_t>(0, choices.size() - 1)(randomness)];
}

// Weights that live as long as this.
struct Heap {
  std::vector<std::vector<float>> numbers;
  std::vector<std::vector<std::int64_t>> places;
  const float* some(std::size_t count, double largest) {
    numbers.emplace_back(count);
    for (float& each : numbers.back()) each = static_cast<float>(uniform(-largest, largest));
    return numbers.back().data();
  }
  hoi::Layer layer(int c_in, int c_out, int kernel) {
    const int inputs = c_in * kernel * kernel;
    const float* weight = some(static_cast<std::size_t>(c_out) * inputs, 2.0 / std::sqrt(inputs));
    return {c_out, c_in, kernel, weight, some(c_out, 0.5)};
  }
  hoi::SpiralWeights spirals(int vertices, int length, int part, int c_in, int c_out, bool mixes) {
    places.emplace_back(static_cast<std::size_t>(vertices) * length);
    for (std::int64_t& each : places.back()) each = std::uniform_int_distribution<int>(0, vertices - 1)(randomness);
    hoi::SpiralWeights weights;
    weights.vertices = vertices;
    weights.length = length;
    weights.spirals = places.back().data();
    weights.conv = layer(length * part, mixes ? part : c_out, 1);
    if (mixes) weights.mix = layer(c_in, c_out, 1);
    return weights;
  }
};

// Answers of a random hand network, encoder and all, to crops of colours and of edges.
std::vector<float> hand_answers(const std::string& set, unsigned seed) {
  randomness.seed(seed);
  Heap heap;
  const int size = one_of<int>({32, 64, 96}), c = one_of<int>({5, 16, 19}), joints = one_of<int>({3, 21});
  const bool mixes = one_of<int>({0, 1}) == 1;
  const int length = one_of<int>({2, 9, 10}), part = one_of<int>({1, 3});
  hoi::Plan plan(size, 3, set);
  std::vector<int> widths = {4, 7, 6, 9, 12}, ends;
  int x = 0, before = 3;
  for (const int width : widths) {
    const hoi::Layer layer = heap.layer(before, width, 3);
    hoi::Convolution conv;
    conv.c_in = before;
    conv.c_out = width;
    conv.kernel = 3;
    conv.stride = 2;
    conv.relu = true;
    x = plan.convolve(x, conv, layer.weight, layer.bias, -1);
    ends.push_back(x);
    before = width;
  }
  plan.finish({ends[2], ends[3], ends[4]});

  hoi::HandWeights w;
  w.lateral32 = heap.layer(12, c, 1);
  w.lateral16 = heap.layer(9, c, 1);
  w.smooth16 = heap.layer(c, c, 3);
  w.reduce16 = heap.layer(c, 8, 1);
  w.lateral8 = heap.layer(6, 8, 1);
  w.smooth8 = heap.layer(8, 8, 5);
  w.heatmap = heap.layer(8, joints, 1);
  w.depth_hidden = heap.layer(12, 11, 1);
  w.depth_out = heap.layer(11, joints + 1, 1);
  const int vertices[] = {7, 13, 21};
  w.decoder.lift = {vertices[0], joints, heap.some(vertices[0] * joints, 0.5)};
  for (int i = 0; i < 2; ++i) {
    w.decoder.up.push_back({vertices[i + 1], vertices[i], heap.some(vertices[i + 1] * vertices[i], 0.5)});
    w.decoder.convs.push_back(heap.spirals(vertices[i + 1], length, part, i == 0 ? c : 6, 6, mixes));
  }
  w.decoder.last = heap.spirals(vertices[2], length, part, 6, 3, mixes);
  w.decoder.mean = {vertices[2], 3, heap.some(vertices[2] * 3, 0.5)};
  using hoi::Fusion;
  const Fusion fusion = one_of<Fusion>({Fusion::kSandwich, Fusion::kEdgeGray, Fusion::kSingle});
  hoi::Hand hand(plan, w, {one_of<double>({0.0, 0.8, 3.0}), 22, 50, 120, fusion});

  const std::size_t cells = static_cast<std::size_t>(size) * size;
  std::vector<std::uint8_t> crop(3 * cells);
  std::vector<float> answers;
  for (const int channels : {3, 1}) {
    for (std::uint8_t& value : crop) value = static_cast<std::uint8_t>(one_of<int>({0, 0, 0, 90, 255}));
    std::vector<float> uv(2 * joints), depth(joints + 1), mesh(3 * vertices[2]), sure(joints);
    hand.run_crop(crop.data(), channels, {uv.data(), depth.data(), mesh.data(), sure.data()});
    for (const std::vector<float>* each : {&uv, &depth, &mesh, &sure}) {
      answers.insert(answers.end(), each->begin(), each->end());
    }
  }
  return answers;
}

// What other instructions make of the same hands as plain sums do.
double check_hand(const std::string& set, unsigned seed) {
  const std::vector<float> got = hand_answers(set, seed), expected = hand_answers("plain", seed);
  double worst = 0.0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    worst = std::max(worst, std::abs(got[i] - expected[i]) / (1.0 + std::abs(expected[i])));
    if (!std::isfinite(got[i])) return HUGE_VAL;
  }
  return worst;
}

}  // namespace

int main() {
  bool good = true;
  for (const hoi::Kernels* kernels : hoi::usable_kernels()) {
    double worst = 0.0;
    for (unsigned seed = 0; seed < kHands; ++seed) worst = std::max(worst, check_hand(kernels->name, seed));
    good = good && worst <= kTolerance;
    std::printf("%s: %u hands, largest difference %.1e: %s\n", kernels->name, kHands, worst,
                worst <= kTolerance ? "equal to the plain kernels" : "DIFFERENT");
  }
  return good ? 0 : 1;
}
