#include "plan.h"

#include <algorithm>
#include <chrono>

#include "limits.h"
#include "rounding.h"
#include "steps.h"

namespace hoi {
namespace {

constexpr int kLargestSize = 4096;
constexpr int kMostThreads = 64;
double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

Plan::Plan(int size, int channels, const std::string& instruction_set, int threads)
    : size_(size), kernels_(kernels_named(instruction_set)) {
  demand(size >= 1 && size <= kLargestSize, "a size of 1 to " + std::to_string(kLargestSize) + " px");
  demand(channels >= 1 && channels <= 16, "1 to 16 channels of the image");
  demand(threads >= 1 && threads <= kMostThreads, "1 to " + std::to_string(kMostThreads) + " threads");
  values_.emplace_back();
  values_.back().channels = channels;
  levels_.emplace_back().reserve(size);
  pool_ = std::make_unique<Pool>(threads);
}

Plan::~Plan() = default;

const Value& Plan::readable(int number) const {
  demand(!finished_, "no step after the end of the planning");
  demand(number >= 0 && number < static_cast<int>(values_.size()), "the number of a value that an earlier step made");
  return values_[number];
}

int Plan::level_after(const Value& source, int stride) {
  demand(stride == 1 || stride == 2, "a stride of 1 or 2");
  if (stride == 1) return source.level;
  const int level = source.level + 1;
  demand((size_ >> source.level) % 2 == 0, "a size that the product of all strides divides");
  if (level == static_cast<int>(levels_.size())) levels_.emplace_back().reserve(cells(level));
  return level;
}

int Plan::pairs_between(int from_level, int to_level, int kernel) {
  const auto [at, is_new] = pairs_index_.try_emplace({from_level, to_level, kernel}, static_cast<int>(pairs_.size()));
  if (is_new) pairs_.emplace_back().reserve(kernel, 1 << (to_level - from_level), cells(to_level) * cells(to_level));
  return at->second;
}

int Plan::add(std::unique_ptr<Step> step, Value result, std::initializer_list<int> read) {
  const int number = static_cast<int>(steps_.size());
  for (const int value : read) {
    if (value >= 0) values_[value].read_last = number;
  }
  steps_.push_back(std::move(step));
  result.made_by = result.read_last = number;
  values_.push_back(result);
  return static_cast<int>(values_.size()) - 1;
}

int Plan::convolve(int source, const Convolution& conv, const float* weight, const float* bias, int residual) {
  const Value in = readable(source);
  demand_shape(conv, in);
  demand(!in.is_bytes && (source > 0 || byte_kernels_ == nullptr), "a source in floats");
  const int level = level_after(in, conv.stride);
  const int result = static_cast<int>(values_.size());
  if (source == 0) {
    demand(residual < 0, "no residual beside the image");
    std::vector<int> in_rows(conv.taps());
    for (int t = 0; t < conv.taps(); ++t) in_rows[t] = t;
    // Without site sets the taps and channels of a window's row are one run of inputs, as (tap, channel) is packed.
    Weights weights(conv, weight, bias, in_rows, kernels_);
    auto step = std::make_unique<ImageConvolution>(conv, std::move(weights), kernels_, size_, result);
    return add(std::move(step), {level, conv.c_out}, {});
  }
  if (residual >= 0) {
    const Value kept = readable(residual);
    demand(residual > 0 && kept.level == level && kept.channels == conv.c_out && !kept.is_bytes,
           "a residual of the result's shape");
  }
  const int pairs = pairs_between(in.level, level, conv.kernel);
  Weights weights(conv, weight, bias, pairs_[pairs].tap, kernels_);
  auto step = std::make_unique<SiteConvolution>(conv, std::move(weights),
                                                SiteConvolution::Wiring{source, residual, result, pairs});
  return add(std::move(step), {level, conv.c_out}, {source, residual});
}

int Plan::max_pool(int source) {
  const Value in = readable(source);
  demand(source > 0 && !in.is_bytes, "a pooling of what a convolution made");
  const int level = level_after(in, kPoolStride);
  const int pairs = pairs_between(in.level, level, kPoolKernel);
  const int result = static_cast<int>(values_.size());
  return add(std::make_unique<MaxPool>(source, result, pairs), {level, in.channels}, {source});
}

void Plan::finish(const std::vector<int>& outputs) {
  for (const int number : outputs) {
    readable(number);
    demand(number > 0, "outputs that a step made");
    values_[number].read_last = static_cast<int>(steps_.size());
  }
  outputs_ = outputs;
  place_values();
  reports_.resize(steps_.size());
  reserve_bytes();
  finished_ = true;
}

// Gives every value a place in one arena; a place is free again after the last step that reads its value.
void Plan::place_values() {
  struct Place {
    std::size_t floats;
    int busy_until;
  };
  std::vector<Place> places;
  std::vector<std::size_t> chosen(values_.size());
  for (std::size_t v = 1; v < values_.size(); ++v) {
    const Value& value = values_[v];
    const auto side = static_cast<std::size_t>(cells(value.level));
    const std::size_t numbers = side * side * padded(value.channels);
    const std::size_t floats = value.is_bytes ? numbers / sizeof(float) + kCacheLine : numbers;
    std::size_t p = 0;
    while (p < places.size() && (places[p].busy_until >= value.made_by || places[p].floats < floats)) ++p;
    if (p == places.size()) places.push_back({floats, 0});
    places[p].busy_until = value.read_last;
    chosen[v] = p;
  }
  std::vector<std::size_t> begin(1, 0);
  for (const Place& place : places) begin.push_back(begin.back() + place.floats);
  arena_ = make_buffer<float>(begin.back());
  for (std::size_t v = 1; v < values_.size(); ++v) {
    values_[v].rows = arena_.get() + begin[chosen[v]];
    values_[v].bytes = reinterpret_cast<std::uint8_t*>(values_[v].rows);
  }
}

void Plan::find_sites(const float* image) {
  mark_pixels(image, channels(), site_scale_, levels_[0]);
  for (std::size_t l = 1; l < levels_.size(); ++l) coarsen(levels_[l - 1], levels_[l]);
  for (const auto& [key, index] : pairs_index_) {
    find_pairs(levels_[std::get<0>(key)], levels_[std::get<1>(key)], pairs_[index]);
  }
}

double Plan::multiply_adds() const {
  double sum = 0.0;
  for (const auto& step : steps_) sum += step->report(*this).multiply_adds;
  return sum;
}

double Plan::multiply_adds(const float* image) {
  demand(finished_, "a plan that is finished");
  find_sites(image);
  return multiply_adds();
}

void Plan::hand_over(Elsewhere elsewhere, double most) {
  demand(finished_, "a plan that is finished");
  elsewhere_ = std::move(elsewhere);
  most_ = most;
  planes_.clear();
  for (const int number : outputs_) {
    const std::size_t side = cells(values_[number].level);
    planes_.emplace_back(side * side * values_[number].channels);
  }
}

void Plan::run(const float* image, const std::vector<float*>& outputs, bool timed) {
  demand(outputs.size() == outputs_.size(), "memory for each output");
  compute(image, timed);
  for (std::size_t o = 0; o < outputs.size(); ++o) give_out(values_[outputs_[o]], outputs[o]);
}

void Plan::compute(const float* image, bool timed) {
  demand(finished_, "a plan that is finished");
  find_sites(image);
  const bool leaves = elsewhere_ && !timed && multiply_adds() > most_;
  if (leaves) {
    std::vector<float*> planes;
    for (std::vector<float>& plane : planes_) planes.push_back(plane.data());
    elsewhere_(image, planes);
    for (std::size_t o = 0; o < outputs_.size(); ++o) take_in(values_[outputs_[o]], planes[o]);
  }
  for (std::size_t s = 0; s < steps_.size() && !leaves; ++s) {
    const double start = timed ? now() : 0.0;
    steps_[s]->run(*this, image);
    if (timed) {
      reports_[s] = steps_[s]->report(*this);
      reports_[s].seconds = now() - start;
    }
  }
}

template <class T>
void Plan::spread_rows(const Value& value, const T* rows, T* cells) const {
  const Sites& sites = levels_[value.level];
  const int width = padded(value.channels);
  const std::int64_t all = static_cast<std::int64_t>(sites.size) * sites.size;
  std::fill(cells, cells + all * width, T{0});
  for (int i = 0; i < sites.count(); ++i, rows += width) {
    std::copy(rows, rows + width, cells + (static_cast<std::int64_t>(sites.y[i]) * sites.size + sites.x[i]) * width);
  }
}

// Every cell becomes a site, since what was computed elsewhere has zeros where none is.
void Plan::take_in(const Value& value, const float* planes) {
  Sites& sites = levels_[value.level];
  mark_all(sites);
  const std::int64_t plane = sites.count();
  for (std::int64_t i = 0; i < plane; ++i) {
    const std::int64_t row = i * padded(value.channels);
    for (int c = 0; c < value.channels; ++c) {
      const float number = planes[c * plane + i];
      if (value.is_bytes) {
        value.bytes[row + c] = byte_of(number, value.scale, value.zero);
      } else {
        value.rows[row + c] = number;
      }
    }
  }
}

void Plan::spread(int output, float* rows) const {
  const Value& value = values_.at(outputs_.at(output));
  spread_rows(value, value.rows, rows);
}

void Plan::spread(int output, std::uint8_t* rows) const {
  const Value& value = values_.at(outputs_.at(output));
  spread_rows(value, value.bytes, rows);
}

void Plan::give_out(const Value& value, float* output) const {
  const Sites& sites = levels_[value.level];
  const std::int64_t plane = static_cast<std::int64_t>(sites.size) * sites.size;
  std::fill(output, output + plane * value.channels, 0.0F);
  for (int i = 0; i < sites.count(); ++i) {
    float* to = output + sites.y[i] * sites.size + sites.x[i];
    const std::int64_t row = static_cast<std::int64_t>(i) * padded(value.channels);
    if (value.is_bytes) {
      for (int c = 0; c < value.channels; ++c) {
        to[c * plane] = static_cast<float>(value.bytes[row + c] - value.zero) * value.scale;
      }
    } else {
      for (int c = 0; c < value.channels; ++c) to[c * plane] = value.rows[row + c];
    }
  }
}

}  // namespace hoi
