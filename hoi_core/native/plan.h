// A network of sparse convolutions and poolings, planned once for an image size and run without asking for memory.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "byte_layer.h"
#include "pool.h"
#include "sites.h"

namespace hoi {

// What one step did in the last run that was timed.
struct StepReport {
  std::string kind;
  int size = 0, c_in = 0, c_out = 0, kernel = 0, sites = 0;
  double multiply_adds = 0.0, seconds = 0.0;
};

// The rows of a layer's result, in floats or in bytes.
struct Value {
  int level = 0;     // its grid has size >> level cells along a side
  int channels = 0;
  int made_by = 0, read_last = 0;   // steps
  float* rows = nullptr;
  bool is_bytes = false;
  std::uint8_t* bytes = nullptr;
  float scale = 0.0F;   // of bytes
  int zero = 0;
};

// Memory of one thread for layers in bytes.
struct ByteScratch {
  std::int32_t* sums;
  std::int16_t* widened;
};

class Step;

// Computes features of an image in another engine, as Plan::run gives them.
using Elsewhere = std::function<void(const float* image, const std::vector<float*>& outputs)>;

class Plan {
 public:
  // `size` px along each side. Throws std::invalid_argument for numbers that make no image.
  Plan(int size, int channels, const std::string& instruction_set, int threads = 1);
  ~Plan();

  // Each returns the number of the value it makes. Value 0 is the image, which only a convolution can read.
  // They throw std::invalid_argument for what does not fit together.
  int convolve(int source, const Convolution& conv, const float* weight, const float* bias, int residual);
  int max_pool(int source);

  // The same in 8-bit integers. The image is rounded in steps of `image_scale`; its sites are the pixels of which
  // something is left when they are rounded in steps of `site_scale`. `largest_weight` is that of all layers.
  void take_bytes(float image_scale, float site_scale, int largest_weight);
  int convolve_bytes(int source, const ByteLayer& layer);
  int max_pool_bytes(int source, const Table* table, float scale);

  // Ends the planning. `outputs` are values, in the order of `run`.
  void finish(const std::vector<int>& outputs);

  // Images that need more than `most` multiply-adds are computed elsewhere from now on, but for runs that are timed.
  void hand_over(Elsewhere elsewhere, double most);

  // What an image needs: neighbours that exist alone.
  double multiply_adds(const float* image);

  // `image` is (channels, size, size); each output (channels, cells, cells), zero off its sites.
  void run(const float* image, const std::vector<float*>& outputs, bool timed);

  // The same without giving anything out: results stay in the outputs' rows until the next run.
  void compute(const float* image, bool timed);
  // The rows of an output on all cells of its grid; zero off its sites.
  void spread(int output, float* rows) const;
  void spread(int output, std::uint8_t* rows) const;

  int size() const { return size_; }
  int channels() const { return values_[0].channels; }
  const std::vector<int>& outputs() const { return outputs_; }
  const Value& value(int number) const { return values_.at(number); }
  int cells(int level) const { return size_ >> level; }
  const Kernels& kernels() const { return kernels_; }
  Pool& pool() const { return *pool_; }
  ByteScratch byte_scratch(Share share) const;
  const Sites& sites(int level) const { return levels_[level]; }
  const Pairs& pairs(int index) const { return pairs_[index]; }
  const std::vector<StepReport>& reports() const { return reports_; }

 private:
  int add(std::unique_ptr<Step> step, Value result, std::initializer_list<int> read);
  const Value& readable(int number) const;
  int level_after(const Value& source, int stride);
  int pairs_between(int from_level, int to_level, int kernel);
  void place_values();
  void find_sites(const float* image);
  double multiply_adds() const;
  void take_in(const Value& value, const float* planes);
  template <class T>
  void spread_rows(const Value& value, const T* rows, T* cells) const;
  void give_out(const Value& value, float* output) const;
  std::unique_ptr<Step> byte_image_step(const ByteLayer& layer);
  void reserve_bytes();

  int size_;
  const Kernels& kernels_;
  std::vector<Value> values_;
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<Sites> levels_;
  std::vector<Pairs> pairs_;
  std::map<std::tuple<int, int, int>, int> pairs_index_;
  std::vector<int> outputs_;
  std::vector<StepReport> reports_;
  Buffer<float> arena_;
  Elsewhere elsewhere_;
  double most_ = 0.0;
  std::vector<std::vector<float>> planes_;   // of the outputs, computed elsewhere
  std::unique_ptr<Pool> pool_;
  const ByteKernels* byte_kernels_ = nullptr;
  float image_scale_ = 0.0F, site_scale_ = 0.0F;   // 0: of floats
  std::int64_t most_sums_ = 0, most_widened_ = 0;
  Buffer<std::int32_t> sums_;
  Buffer<std::int16_t> widened_;
  bool finished_ = false;
};

}  // namespace hoi
