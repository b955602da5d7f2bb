// Checks the whole hand network in 8-bit integers without Python: random ones of odd sizes, in every instruction set of
// the build, beside the plain kernels. Whole numbers leave no room: all answers must be the same.
// (Against ONNX Runtime: tests/learning/test_native_hand.py.) Fails with status 1.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <list>
#include <random>
#include <string>
#include <vector>

#include "../../hoi_core/native/byte_hand.h"

namespace {

constexpr unsigned kHands = 12;
constexpr int kVertices[] = {7, 13, 21};

std::mt19937 randomness(0);

double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(randomness); }
int whole(int low, int high) { return std::uniform_int_distribution<int>(low, high)(randomness); }

template <class T>
T one_of(const std::vector<T>& choices) {
  return choices[whole(0, static_cast<int>(choices.size()) - 1)];
}

// Numbers that live as long as this.
struct Heap {
  int largest;
  std::list<std::vector<std::int8_t>> weights;
  std::list<std::vector<std::int32_t>> biases;
  std::list<std::vector<float>> floats;
  std::list<std::vector<std::int64_t>> places;

  const float* some(std::size_t count, double low, double high) {
    floats.emplace_back(count);
    for (float& each : floats.back()) each = static_cast<float>(uniform(low, high));
    return floats.back().data();
  }
  const std::int8_t* bytes(std::size_t count, double share) {
    weights.emplace_back(count);
    for (std::int8_t& each : weights.back()) {
      each = uniform(0.0, 1.0) < share ? static_cast<std::int8_t>(whole(-largest, largest - 1)) : 0;
    }
    return weights.back().data();
  }
  hoi::ByteLayer layer(int c_in, int c_out, int kernel, bool relu) {
    const int inputs = c_in * kernel * kernel;
    hoi::ByteLayer layer;
    layer.shape.c_in = c_in;
    layer.shape.c_out = c_out;
    layer.shape.kernel = kernel;
    layer.shape.relu = relu;
    layer.weight = bytes(static_cast<std::size_t>(c_out) * inputs, 1.0);
    biases.emplace_back(c_out);
    for (std::int32_t& each : biases.back()) each = whole(-3000, 3000);
    layer.bias = biases.back().data();
    const double step = 1.0 / (largest * std::sqrt(inputs));
    layer.multiplier = some(c_out, 0.5 * step, 2.0 * step);
    layer.zero = relu ? 0 : whole(0, 255);
    return layer;
  }
  hoi::ByteLayer sum(int c_in, int c_out) {
    hoi::ByteLayer layer = this->layer(c_in, c_out, 1, true);
    layer.zero = whole(0, 255);
    layer.residual = 0;
    layer.kept_first = one_of<int>({0, 1}) == 1;
    layer.own_ratio = static_cast<float>(uniform(0.3, 1.5));
    layer.kept_ratio = static_cast<float>(uniform(0.3, 1.5));
    layer.fixed = static_cast<float>(uniform(-200.0, 10.0));
    return layer;
  }
  hoi::ByteMapWeights map(int rows, int columns) {
    hoi::ByteMapWeights map;
    map.rows = rows;
    map.columns = columns;
    map.weight = bytes(static_cast<std::size_t>(rows) * columns, 0.4);
    map.multiplier = some(rows, 0.5 / largest, 1.5 / largest);
    map.zero_in = whole(0, 255);
    map.zero = whole(0, 255);
    map.ratio = static_cast<float>(uniform(0.3, 1.5));
    map.fixed = static_cast<float>(uniform(-100.0, 100.0));
    map.again_zero = whole(0, 255);
    return map;
  }
  hoi::ByteSpiralWeights spirals(int vertices, int length, int part, int c_in, int c_out, bool mixes) {
    places.emplace_back(static_cast<std::size_t>(vertices) * length);
    for (std::int64_t& each : places.back()) each = whole(0, vertices - 1);
    hoi::ByteSpiralWeights found;
    found.vertices = vertices;
    found.length = length;
    found.spirals = places.back().data();
    found.conv = layer(length * part, mixes ? part : c_out, 1, !mixes);
    if (mixes) {
      found.conv.again = one_of<int>({0, 1}) == 1;
      found.conv.own_ratio = static_cast<float>(uniform(0.3, 1.5));
      found.conv.again_zero = whole(0, 255);
      found.mix = layer(c_in, c_out, 1, true);
    }
    return found;
  }
};

void build_encoder(hoi::Plan& plan, Heap& heap, int stem_kernel) {
  plan.take_bytes(0.004F, 0.004F, heap.largest);
  int x = 0, before = 3, number = 0;
  std::vector<int> ends;
  for (const int width : {4, 7, 6, 9, 20}) {
    hoi::ByteLayer layer = heap.layer(before, width, x == 0 ? stem_kernel : 3, true);
    layer.shape.stride = 2;
    x = plan.convolve_bytes(x, layer);
    if (++number >= 3) ends.push_back(x);
    before = width;
  }
  plan.finish(ends);
}

hoi::ByteHandWeights random_hand(Heap& heap, int joints) {
  const int c = one_of<int>({5, 16, 19}), length = one_of<int>({2, 9, 10}), part = one_of<int>({1, 3, 4});
  const bool mixes = one_of<int>({0, 1}) == 1;
  hoi::ByteHandWeights w;
  w.largest_weight = heap.largest;
  w.lateral32 = heap.layer(20, c, 1, true);
  w.lateral16 = heap.sum(9, c);
  w.smooth16 = heap.layer(c, c, 3, true);
  w.reduce16 = heap.layer(c, 8, 1, false);
  w.lateral8 = heap.sum(6, 8);
  w.smooth8 = heap.layer(8, 8, 5, true);
  w.heatmap = heap.layer(8, joints, 1, false);
  w.depth_hidden = heap.layer(20, 11, 1, true);
  w.depth_out = heap.layer(11, joints + 1, 1, false);
  w.pooled_ratio = static_cast<float>(uniform(0.5, 3.0));
  w.joints_ratio = static_cast<float>(uniform(0.5, 3.0));
  w.decoder.lift = heap.map(kVertices[0], joints);
  for (int i = 0; i < 2; ++i) {
    w.decoder.up.push_back(heap.map(kVertices[i + 1], kVertices[i]));
    w.decoder.convs.push_back(heap.spirals(kVertices[i + 1], length, part, i == 0 ? c : 6, 6, mixes));
  }
  w.decoder.last = heap.spirals(kVertices[2], length, part, 6, 3, mixes);
  w.decoder.last_again = heap.map(kVertices[2], kVertices[2]);
  w.decoder.last_again.weight = nullptr;
  w.decoder.mean = {kVertices[2], 3, heap.some(kVertices[2] * 3, -0.5, 0.5)};
  return w;
}

// Answers of a random hand network, encoder and all, to crops of colours and of edges.
std::vector<float> hand_answers(const std::string& set, unsigned seed) {
  randomness.seed(seed);
  Heap heap;
  heap.largest = one_of<int>({64, 128});
  const int size = one_of<int>({32, 64, 96}), joints = one_of<int>({3, 21});
  hoi::Plan plan(size, 3, set);
  build_encoder(plan, heap, one_of<int>({3, 7}));
  const hoi::ByteHandWeights weights = random_hand(heap, joints);
  hoi::ByteHand hand(plan, weights, {one_of<double>({0.0, 0.8, 3.0}), 22, 50, 120, hoi::Fusion::kSandwich});
  std::vector<std::uint8_t> crop(3 * static_cast<std::size_t>(size) * size);
  std::vector<float> answers;
  for (const int channels : {3, 1}) {
    for (std::uint8_t& value : crop) value = static_cast<std::uint8_t>(one_of<int>({0, 0, 0, 90, 255}));
    std::vector<float> uv(2 * joints), depth(joints + 1), mesh(3 * kVertices[2]), sure(joints);
    hand.run_crop(crop.data(), channels, {uv.data(), depth.data(), mesh.data(), sure.data()});
    for (const std::vector<float>* each : {&uv, &depth, &mesh, &sure}) {
      answers.insert(answers.end(), each->begin(), each->end());
    }
  }
  return answers;
}

}  // namespace

int main() {
  bool good = true;
  for (const hoi::Kernels* kernels : hoi::usable_kernels()) {
    unsigned same = 0;
    for (unsigned seed = 0; seed < kHands; ++seed) {
      const std::vector<float> got = hand_answers(kernels->name, seed), expected = hand_answers("plain", seed);
      const bool finite = std::all_of(got.begin(), got.end(), [](float x) { return std::isfinite(x); });
      same += got == expected && finite ? 1 : 0;
    }
    good = good && same == kHands;
    std::printf("%s: %u of %u hands in bytes: %s\n", kernels->name, same, kHands,
                same == kHands ? "the same as in plain sums" : "DIFFERENT");
  }
  return good ? 0 : 1;
}
