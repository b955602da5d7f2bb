// The Python side of the engine.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <mutex>

#include "bind_hand.h"
#include "plan.h"

namespace py = pybind11;

namespace {

using Array = py::array_t<float, py::array::c_style | py::array::forcecast>;

// A plan with Python's arrays around it. Runs of one plan wait for each other: they share its memory.
class Network {
 public:
  Network(int size, int channels, const std::string& instruction_set) : plan_(size, channels, instruction_set) {}

  int convolve(int source, const Array& weight, const Array& bias, int stride, bool relu, int residual) {
    if (weight.ndim() != 4 || weight.shape(2) != weight.shape(3) || bias.ndim() != 1 ||
        bias.shape(0) != weight.shape(0)) {
      throw std::invalid_argument("expected weights (C_out, C_in, k, k) and a bias (C_out)");
    }
    for (int axis = 0; axis < 4; ++axis) {
      if (weight.shape(axis) > (1 << 15)) throw std::invalid_argument("expected weights of at most 32768 channels");
    }
    hoi::Convolution conv;
    conv.c_out = static_cast<int>(weight.shape(0));
    conv.c_in = static_cast<int>(weight.shape(1));
    conv.kernel = static_cast<int>(weight.shape(2));
    conv.stride = stride;
    conv.relu = relu;
    return plan_.convolve(source, conv, weight.data(), bias.data(), residual);
  }

  int max_pool(int source) { return plan_.max_pool(source); }
  void finish(const std::vector<int>& outputs) { plan_.finish(outputs); }

  py::list run(const Array& image, bool timed) {
    if (image.ndim() != 3 || image.shape(0) != plan_.channels() || image.shape(1) != plan_.size() ||
        image.shape(2) != plan_.size()) {
      throw std::invalid_argument("expected an image (" + std::to_string(plan_.channels()) + ", " +
                                  std::to_string(plan_.size()) + ", " + std::to_string(plan_.size()) + ")");
    }
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
      .def(py::init<int, int, const std::string&>(), py::arg("size"), py::arg("channels"),
           py::arg("instruction_set") = "")
      .def("convolve", &Network::convolve, py::arg("source"), py::arg("weight"), py::arg("bias"), py::arg("stride") = 1,
           py::arg("relu") = false, py::arg("residual") = -1)
      .def("max_pool", &Network::max_pool, py::arg("source"))
      .def("finish", &Network::finish, py::arg("outputs"))
      .def("run", &Network::run, py::arg("image"), py::arg("timed") = false)
      .def("reports", &Network::reports)
      .def_property_readonly("instruction_set", &Network::instruction_set);
  hoi::bind_hand<Network>(module);
}
