// The Python side of the whole hand network.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bind_bytes.h"
#include "hand.h"

namespace hoi {

namespace py = pybind11;

using Floats = py::array_t<float, py::array::c_style>;
using Bytes = py::array_t<std::uint8_t, py::array::c_style>;
using Wholes = py::array_t<std::int64_t, py::array::c_style>;
using LayerArrays = std::pair<Floats, Floats>;  // weight (c_out, c_in) or (c_out, c_in, k, k), and bias (c_out)

inline Layer layer_of(const LayerArrays& arrays) {
  const auto& [weight, bias] = arrays;
  demand(weight.ndim() == 2 || (weight.ndim() == 4 && weight.shape(2) == weight.shape(3)),
              "weights (c_out, c_in) or (c_out, c_in, k, k)");
  demand(bias.ndim() == 1 && bias.shape(0) == weight.shape(0), "a bias for each output channel");
  Layer layer;
  layer.c_out = length_of(weight, 0);
  layer.c_in = length_of(weight, 1);
  layer.kernel = weight.ndim() == 4 ? length_of(weight, 2) : 1;
  layer.weight = weight.data();
  layer.bias = bias.data();
  return layer;
}

inline Matrix matrix_of(const Floats& array) {
  demand(array.ndim() == 2, "a matrix");
  return {length_of(array, 0), length_of(array, 1), array.data()};
}

inline SpiralWeights spirals_of(const Wholes& spirals, const LayerArrays& conv, const std::optional<LayerArrays>& mix) {
  demand(spirals.ndim() == 2, "spirals (vertices, length)");
  SpiralWeights weights;
  weights.vertices = length_of(spirals, 0);
  weights.length = length_of(spirals, 1);
  weights.spirals = spirals.data();
  weights.conv = layer_of(conv);
  if (mix) weights.mix = layer_of(*mix);
  demand(weights.conv.kernel == 1 && weights.mix.kernel == 1, "linear maps over spirals");
  return weights;
}

// What Python gives, by the names of the network.
struct HandArrays {
  std::map<std::string, LayerArrays> heads;
  Floats lift, mean;
  std::vector<Floats> up;
  std::vector<Wholes> spirals;   // one more than `up`: the last convolution's
  std::vector<LayerArrays> convs;
  std::vector<std::optional<LayerArrays>> mixes;

  HandWeights weights() const {
    demand(spirals.size() == up.size() + 1 && convs.size() == spirals.size() && mixes.size() == spirals.size(),
                "a convolution for each level and one at the end");
    HandWeights found;
    const std::pair<const char*, Layer*> places[] = {
        {"lateral32", &found.lateral32}, {"lateral16", &found.lateral16},       {"smooth16", &found.smooth16},
        {"reduce16", &found.reduce16},   {"lateral8", &found.lateral8},         {"smooth8", &found.smooth8},
        {"heatmap", &found.heatmap},     {"depth_hidden", &found.depth_hidden}, {"depth_out", &found.depth_out}};
    for (const auto& [name, layer] : places) {
      demand(heads.count(name) == 1, "weights of every head");
      *layer = layer_of(heads.at(name));
    }
    demand(found.depth_hidden.kernel == 1 && found.depth_out.kernel == 1, "linear maps to depths");
    found.decoder.lift = matrix_of(lift);
    found.decoder.mean = matrix_of(mean);
    for (const Floats& matrix : up) found.decoder.up.push_back(matrix_of(matrix));
    for (std::size_t i = 0; i < up.size(); ++i) {
      found.decoder.convs.push_back(spirals_of(spirals[i], convs[i], mixes[i]));
    }
    found.decoder.last = spirals_of(spirals.back(), convs.back(), mixes.back());
    return found;
  }
};

inline EdgeSettings edges_of(double blur_px, int sobel, int low, int high, const std::string& fusion) {
  const std::map<std::string, Fusion> known = {
      {"sandwich", Fusion::kSandwich}, {"edge_gray", Fusion::kEdgeGray}, {"single", Fusion::kSingle}};
  demand(known.count(fusion) == 1, "a fusion of edges that is known");
  return {blur_px, sobel, low, high, known.at(fusion)};
}

// The network with Python's arrays around it; its runs and those of its encoder wait for each other.
template <class Network, class Kind>
class BoundHand {
 public:
  template <class Weights>
  BoundHand(Network& encoder, const Weights& weights, const EdgeSettings& edges)
      : encoder_(encoder), hand_(encoder.plan(), weights, edges) {}

  void run(const Floats& image, Floats uv, Floats depth, Floats vertices, Floats confidence) {
    const int size = hand_.size();
    demand(image.ndim() == 3 && image.shape(0) == 3 && image.shape(1) == size && image.shape(2) == size,
                "an image (3, size, size)");
    const HandAnswer answer = answer_in(uv, depth, vertices, confidence);
    const float* pixels = image.data();
    const py::gil_scoped_release others_may_run;
    const std::lock_guard<std::mutex> alone(encoder_.running());
    hand_.run(pixels, answer);
  }

  void run_crop(const Bytes& crop, Floats uv, Floats depth, Floats vertices, Floats confidence) {
    const int size = hand_.size();
    demand((crop.ndim() == 2 || (crop.ndim() == 3 && crop.shape(2) == 3)) && crop.shape(0) == size &&
                    crop.shape(1) == size,
                "a crop (size, size, 3) or (size, size)");
    const HandAnswer answer = answer_in(uv, depth, vertices, confidence);
    const std::uint8_t* pixels = crop.data();
    const int channels = crop.ndim() == 2 ? 1 : 3;
    const py::gil_scoped_release others_may_run;
    const std::lock_guard<std::mutex> alone(encoder_.running());
    hand_.run_crop(pixels, channels, answer);
  }

  // Shapes of the answers.
  std::vector<std::vector<int>> shapes() const {
    return {{hand_.joints(), 2}, {hand_.depths()}, {hand_.vertices(), 3}, {hand_.joints()}};
  }

 private:
  HandAnswer answer_in(Floats& uv, Floats& depth, Floats& vertices, Floats& confidence) const {
    demand(uv.ndim() == 2 && uv.shape(0) == hand_.joints() && uv.shape(1) == 2, "uv (joints, 2)");
    demand(depth.ndim() == 1 && depth.shape(0) == hand_.depths(), "depth (joints + 1)");
    demand(vertices.ndim() == 2 && vertices.shape(0) == hand_.vertices() && vertices.shape(1) == 3,
                "vertices (vertices, 3)");
    demand(confidence.ndim() == 1 && confidence.shape(0) == hand_.joints(), "confidence (joints)");
    return {uv.mutable_data(), depth.mutable_data(), vertices.mutable_data(), confidence.mutable_data()};
  }

  Network& encoder_;
  Kind hand_;
};

template <class Bound>
void bind_runs(py::class_<Bound>& bound) {
  bound
      .def("run", &Bound::run, py::arg("image").noconvert(), py::arg("uv").noconvert(), py::arg("depth").noconvert(),
           py::arg("vertices").noconvert(), py::arg("confidence").noconvert())
      .def("run_crop", &Bound::run_crop, py::arg("crop").noconvert(), py::arg("uv").noconvert(),
           py::arg("depth").noconvert(), py::arg("vertices").noconvert(), py::arg("confidence").noconvert())
      .def("shapes", &Bound::shapes);
}

template <class Network>
void bind_hand(py::module_& module) {
  module.def(
      "edge_input",
      [](const Bytes& crop, const std::tuple<double, int, int, int, std::string>& edges) {
        demand((crop.ndim() == 2 || (crop.ndim() == 3 && crop.shape(2) == 3)) && crop.shape(0) == crop.shape(1),
                    "a crop (size, size, 3) or (size, size)");
        const int size = length_of(crop, 0);
        Floats image({3, size, size});
        EdgeMaps(size, std::apply(edges_of, edges)).run(crop.data(), crop.ndim() == 2 ? 1 : 3, image.mutable_data());
        return image;
      },
      py::arg("crop").noconvert(), py::arg("edges"));
  using Bound = BoundHand<Network, Hand>;
  auto bound = py::class_<Bound>(module, "Hand");
  bound
      .def(py::init([](Network& encoder, std::map<std::string, LayerArrays> heads, Floats lift, std::vector<Floats> up,
                       std::vector<Wholes> spirals, std::vector<LayerArrays> convs,
                       std::vector<std::optional<LayerArrays>> mixes, Floats mean,
                       const std::tuple<double, int, int, int, std::string>& edges) {
             const HandArrays arrays{std::move(heads),   std::move(lift),  std::move(mean), std::move(up),
                                     std::move(spirals), std::move(convs), std::move(mixes)};
             return std::make_unique<Bound>(encoder, arrays.weights(), std::apply(edges_of, edges));
           }),
           py::keep_alive<1, 2>(), py::arg("encoder"), py::arg("heads"), py::arg("lift"), py::arg("up"),
           py::arg("spirals"), py::arg("convs"), py::arg("mixes"), py::arg("mean"), py::arg("edges"));
  bind_runs(bound);
}

template <class Network>
void bind_byte_hand(py::module_& module) {
  using Bound = BoundHand<Network, ByteHand>;
  auto bound = py::class_<Bound>(module, "ByteHand");
  bound.def(py::init([](Network& encoder, const std::map<std::string, py::dict>& heads, const std::vector<py::dict>& up,
                        const py::dict& lift, const py::dict& last_again, const HeldByteHand::Spirals& spirals,
                        const std::vector<py::dict>& convs, const std::vector<std::optional<py::dict>>& mixes,
                        const Numbers& mean, const std::tuple<int, float, float>& numbers,
                        const std::tuple<double, int, int, int, std::string>& edges) {
              HeldByteHand held(heads, up, lift, last_again);
              held.take_spirals(spirals, convs, mixes, mean);
              std::tie(held.weights.largest_weight, held.weights.pooled_ratio, held.weights.joints_ratio) = numbers;
              return std::make_unique<Bound>(encoder, held.weights, std::apply(edges_of, edges));
            }),
            py::keep_alive<1, 2>(), py::arg("encoder"), py::arg("heads"), py::arg("up"), py::arg("lift"),
            py::arg("last_again"), py::arg("spirals"), py::arg("convs"), py::arg("mixes"), py::arg("mean"),
            py::arg("numbers"), py::arg("edges"));
  bind_runs(bound);
}

}  // namespace hoi
