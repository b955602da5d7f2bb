// Layers in 8-bit integers as Python gives them.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "byte_hand.h"

namespace hoi {

namespace py = pybind11;

// Integers are taken as they are: what does not fit must not be made to.
template <class T>
using Whole = py::array_t<T, py::array::c_style>;
using Numbers = py::array_t<float, py::array::c_style | py::array::forcecast>;

constexpr py::ssize_t kLongestAxis = 1 << 16;

inline int length_of(const py::array& array, int axis) {
  demand(array.shape(axis) >= 1 && array.shape(axis) <= kLongestAxis, "axes of 1 to 65536");
  return static_cast<int>(array.shape(axis));
}

inline Convolution shape_of(const py::array& weight, const py::array& bias, int stride, bool relu) {
  demand(weight.ndim() == 4 && weight.shape(2) == weight.shape(3) && bias.ndim() == 1 &&
             bias.shape(0) == weight.shape(0),
         "weights (C_out, C_in, k, k) and a bias (C_out)");
  for (int axis = 0; axis < 4; ++axis) demand(weight.shape(axis) <= (1 << 15), "weights of at most 32768 channels");
  Convolution conv;
  conv.c_out = static_cast<int>(weight.shape(0));
  conv.c_in = static_cast<int>(weight.shape(1));
  conv.kernel = static_cast<int>(weight.shape(2));
  conv.stride = stride;
  conv.relu = relu;
  return conv;
}

// Whether a table changes anything; `entries` is then what it says.
inline bool fill(const Whole<std::uint8_t>& table, Table& entries) {
  demand(table.ndim() == 1 && table.shape(0) == static_cast<py::ssize_t>(entries.size()), "a table of 256 bytes");
  std::copy(table.data(), table.data() + entries.size(), entries.begin());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i] != i) return true;
  }
  return false;
}

// A layer and the arrays that it points to. It is not moved.
struct HeldLayer {
  explicit HeldLayer(const py::dict& given)
      : weight(given["weight"].cast<Whole<std::int8_t>>()),
        bias(given["bias"].cast<Whole<std::int32_t>>()),
        multiplier(given["multiplier"].cast<Numbers>()) {
    layer.shape = shape_of(weight, bias, given["stride"].cast<int>(), given["relu"].cast<bool>());
    demand(multiplier.ndim() == 1 && multiplier.shape(0) == weight.shape(0), "multipliers (C_out)");
    layer.weight = weight.data();
    layer.bias = bias.data();
    layer.multiplier = multiplier.data();
    layer.zero = given["zero"].cast<int>();
    layer.scale = given["scale"].cast<float>();
    layer.residual = given["residual"].cast<int>();
    layer.own_ratio = given["own_ratio"].cast<float>();
    layer.kept_ratio = given["kept_ratio"].cast<float>();
    layer.fixed = given["fixed"].cast<float>();
    if (fill(given["table"].cast<Whole<std::uint8_t>>(), entries)) layer.table = &entries;
    if (!given.contains("again")) return;
    layer.again = given["again"].cast<bool>();
    layer.again_zero = given["again_zero"].cast<int>();
    layer.kept_first = given["kept_first"].cast<bool>();
  }
  HeldLayer(const HeldLayer&) = delete;
  HeldLayer& operator=(const HeldLayer&) = delete;

  Whole<std::int8_t> weight;
  Whole<std::int32_t> bias;
  Numbers multiplier;
  Table entries{};
  ByteLayer layer;
};

// What Python gives of a hand's heads and decoder.
class HeldByteHand {
 public:
  // (vertices, length); one more than levels: the last convolution's.
  using Spirals = std::vector<Whole<std::int64_t>>;

  HeldByteHand(const std::map<std::string, py::dict>& heads, const std::vector<py::dict>& up, const py::dict& lift,
               const py::dict& last_again) {
    const std::pair<const char*, ByteLayer*> places[] = {
        {"lateral32", &weights.lateral32}, {"lateral16", &weights.lateral16},
        {"smooth16", &weights.smooth16},   {"reduce16", &weights.reduce16},
        {"lateral8", &weights.lateral8},   {"smooth8", &weights.smooth8},
        {"heatmap", &weights.heatmap},     {"depth_hidden", &weights.depth_hidden},
        {"depth_out", &weights.depth_out}};
    for (const auto& [name, layer] : places) {
      demand(heads.count(name) == 1, "weights of every head");
      *layer = held(heads.at(name));
    }
    weights.decoder.lift = map_of(lift);
    weights.decoder.last_again = map_of(last_again);
    for (const py::dict& given : up) weights.decoder.up.push_back(map_of(given));
  }

  void take_spirals(const Spirals& spirals, const std::vector<py::dict>& convs,
                    const std::vector<std::optional<py::dict>>& mixes, const Numbers& mean) {
    const std::size_t levels = weights.decoder.up.size();
    demand(spirals.size() == levels + 1 && convs.size() == levels + 1 && mixes.size() == levels + 1,
           "a convolution for each level and one at the end");
    for (std::size_t i = 0; i <= levels; ++i) {
      ByteSpiralWeights found;
      demand(spirals[i].ndim() == 2, "spirals (vertices, length)");
      found.vertices = length_of(spirals[i], 0);
      found.length = length_of(spirals[i], 1);
      found.spirals = spirals[i].data();
      found.conv = held(convs[i]);
      if (mixes[i]) found.mix = held(*mixes[i]);
      if (i < levels) {
        weights.decoder.convs.push_back(found);
      } else {
        weights.decoder.last = found;
      }
    }
    demand(mean.ndim() == 2, "a mean (vertices, 3)");
    weights.decoder.mean = {length_of(mean, 0), length_of(mean, 1), mean.data()};
  }

  ByteHandWeights weights;

 private:
  const ByteLayer& held(const py::dict& given) { return layers_.emplace_back(given).layer; }

  // A map without weights, of so many rows, is each row by itself.
  ByteMapWeights map_of(const py::dict& given) {
    ByteMapWeights map;
    const auto multiplier = given["multiplier"].cast<Numbers>();
    demand(multiplier.ndim() == 1, "multipliers");
    map.rows = map.columns = length_of(multiplier, 0);
    map.multiplier = multiplier.data();
    numbers_.push_back(multiplier);
    if (!given["weight"].is_none()) {
      const auto weight = given["weight"].cast<Whole<std::int8_t>>();
      demand(weight.ndim() == 2 && weight.shape(0) == multiplier.shape(0), "a map (rows, columns)");
      map.columns = length_of(weight, 1);
      map.weight = weight.data();
      matrices_.push_back(weight);
    }
    map.zero_in = given["zero_in"].cast<int>();
    map.zero = given["zero"].cast<int>();
    map.ratio = given["ratio"].cast<float>();
    map.fixed = given["fixed"].cast<float>();
    map.again_zero = given["again_zero"].cast<int>();
    return map;
  }

  std::list<HeldLayer> layers_;
  std::vector<Numbers> numbers_;
  std::vector<Whole<std::int8_t>> matrices_;
};

}  // namespace hoi
