// The Python side of the engine.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <mutex>
#include <optional>

#include "bind_bytes.h"
#include "bind_hand.h"
#include "plan.h"

namespace py = pybind11;

namespace {

using hoi::fill;
using hoi::shape_of;
using hoi::Whole;
using Array = hoi::Numbers;

// A plan with Python's arrays around it. Runs of one plan wait for each other: they share its memory.
class Network {
 public:
  Network(int size, int channels, const std::string& instruction_set, int threads)
      : plan_(size, channels, instruction_set, threads) {}

  int convolve(int source, const Array& weight, const Array& bias, int stride, bool relu, int residual) {
    return plan_.convolve(source, shape_of(weight, bias, stride, relu), weight.data(), bias.data(), residual);
  }

  void take_bytes(float image_scale, float site_scale, int largest_weight) {
    plan_.take_bytes(image_scale, site_scale, largest_weight);
  }

  int convolve_bytes(int source, const py::dict& layer) {
    return plan_.convolve_bytes(source, hoi::HeldLayer(layer).layer);
  }

  int max_pool_bytes(int source, const Whole<std::uint8_t>& table, float scale) {
    hoi::Table entries;
    return plan_.max_pool_bytes(source, fill(table, entries) ? &entries : nullptr, scale);
  }

  int max_pool(int source) { return plan_.max_pool(source); }
  void finish(const std::vector<int>& outputs) { plan_.finish(outputs); }

  // `elsewhere` gives the outputs for an image (channels, size, size), as `run` does; null for none.
  void hand_over(const std::optional<py::function>& elsewhere, double most) {
    if (!elsewhere) return plan_.hand_over(nullptr, most);
    plan_.hand_over([this, call = *elsewhere](const float* image, const std::vector<float*>& outputs) {
      const py::gil_scoped_acquire python;
      const py::ssize_t size = plan_.size();
      const Array shown({py::ssize_t{plan_.channels()}, size, size}, image);
      const auto found = call(shown).cast<std::vector<Array>>();
      if (found.size() != outputs.size()) throw std::invalid_argument("expected an array for each output");
      for (std::size_t o = 0; o < found.size(); ++o) {
        const hoi::Value& value = plan_.value(plan_.outputs()[o]);
        const py::ssize_t cells = plan_.cells(value.level);
        if (found[o].size() != value.channels * cells * cells) throw std::invalid_argument("expected other features");
        std::copy_n(found[o].data(), found[o].size(), outputs[o]);
      }
    }, most);
  }

  double multiply_adds(const Array& image) {
    check(image);
    const py::gil_scoped_release others_may_run;
    const std::lock_guard<std::mutex> alone(running_);
    return plan_.multiply_adds(image.data());
  }

  py::list run(const Array& image, bool timed) {
    check(image);
    py::list arrays;
    std::vector<float*> outputs;
    for (const int number : plan_.outputs()) {
      const hoi::Value& value = plan_.value(number);
      const int cells = plan_.cells(value.level);
      py::array_t<float> array({value.channels, cells, cells});
      outputs.push_back(array.mutable_data());
      arrays.append(std::move(array));
    }
    {
      py::gil_scoped_release others_may_run;
      const std::lock_guard<std::mutex> alone(running_);
      plan_.run(image.data(), outputs, timed);
    }
    return arrays;
  }

  py::list reports() const {
    py::list found;
    for (const hoi::StepReport& step : plan_.reports()) {
      py::dict row;
      row["kind"] = step.kind;
      row["size"] = step.size;
      row["c_in"] = step.c_in;
      row["c_out"] = step.c_out;
      row["kernel"] = step.kernel;
      row["sites"] = step.sites;
      row["multiply_adds"] = step.multiply_adds;
      row["seconds"] = step.seconds;
      found.append(row);
    }
    return found;
  }

  std::string instruction_set() const { return plan_.kernels().name; }
  hoi::Plan& plan() { return plan_; }
  std::mutex& running() { return running_; }

 private:
  void check(const Array& image) const {
    if (image.ndim() != 3 || image.shape(0) != plan_.channels() || image.shape(1) != plan_.size() ||
        image.shape(2) != plan_.size()) {
      throw std::invalid_argument("expected an image (" + std::to_string(plan_.channels()) + ", " +
                                  std::to_string(plan_.size()) + ", " + std::to_string(plan_.size()) + ")");
    }
  }

  hoi::Plan plan_;
  std::mutex running_;
};

}  // namespace

PYBIND11_MODULE(_engine, module) {
  module.doc() = "Sparse convolutions over the sites of an image.";
  module.def("instruction_sets", [] {
    std::vector<std::string> names;
    for (const hoi::Kernels* kernels : hoi::usable_kernels()) names.emplace_back(kernels->name);
    return names;
  });
  module.def(
      "multiply_adds",
      [](const std::string& name, std::int64_t rounds) { return hoi::kernels_named(name).multiply_adds(rounds); },
      py::arg("instruction_set"), py::arg("rounds"), py::call_guard<py::gil_scoped_release>());
  py::class_<Network>(module, "Network")
      .def(py::init<int, int, const std::string&, int>(), py::arg("size"), py::arg("channels"),
           py::arg("instruction_set") = "", py::arg("threads") = 1)
      .def("convolve", &Network::convolve, py::arg("source"), py::arg("weight"), py::arg("bias"), py::arg("stride") = 1,
           py::arg("relu") = false, py::arg("residual") = -1)
      .def("max_pool", &Network::max_pool, py::arg("source"))
      .def("take_bytes", &Network::take_bytes, py::arg("image_scale"), py::arg("site_scale"), py::arg("largest_weight"))
      .def("convolve_bytes", &Network::convolve_bytes, py::arg("source"), py::arg("layer"))
      .def("max_pool_bytes", &Network::max_pool_bytes, py::arg("source"), py::arg("table"), py::arg("scale"))
      .def("finish", &Network::finish, py::arg("outputs"))
      .def("hand_over", &Network::hand_over, py::arg("elsewhere"), py::arg("most"))
      .def("multiply_adds", &Network::multiply_adds, py::arg("image"))
      .def("run", &Network::run, py::arg("image"), py::arg("timed") = false)
      .def("reports", &Network::reports)
      .def_property_readonly("instruction_set", &Network::instruction_set);
  hoi::bind_hand<Network>(module);
  hoi::bind_byte_hand<Network>(module);
}
