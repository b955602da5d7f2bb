// The steps of a plan in 8-bit integers.
#pragma once

#include "byte_layer.h"
#include "byte_weights.h"
#include "steps.h"

namespace hoi {

// How a layer rounds, with its own copies of what it needs.
struct ByteRounding {
  explicit ByteRounding(const ByteLayer& layer);
  Rounding in(const ByteWeights& weights, int panel, const std::uint8_t* kept) const;
  void finish(std::uint8_t* rows, std::int64_t count) const;

  Rounding common;
  bool has_table = false;
  Table table;
};

// Where a product reads and writes.
struct ByteTask {
  const std::uint8_t* in;
  std::int64_t in_step;
  std::uint8_t* out;
  std::int64_t out_step;
  ByteScratch scratch;
};

// Of all output rows those of [begin, end).
struct RowRange {
  int begin, end, all;
};

// One panel of a product over pairs of rows. `rounding` says how its sums become bytes; null: they are left in the
// scratch memory.
void multiply_panel(const ByteWeights& weights, const Pairs& pairs, const ByteTask& task, int panel, RowRange rows,
                    const Rounding* rounding);

// Memory for the inputs that one tile of a product widens.
std::int64_t widened_for(std::int64_t channels);

// As SiteConvolution: one product for each tap over the pairs that exist, then the sums are rounded.
class ByteSiteConvolution : public Step {
 public:
  struct Wiring {
    int source, residual, result, pairs;
  };
  ByteSiteConvolution(const ByteLayer& layer, ByteWeights weights, Wiring wiring)
      : shape_(layer.shape), weights_(std::move(weights)), rounding_(layer), wiring_(wiring) {}
  void run(const Plan& plan, const float* image) override;
  StepReport report(const Plan& plan) const override;

 private:
  void compute(const Plan& plan, int panel, int begin, int end, Share share) const;

  Convolution shape_;
  ByteWeights weights_;
  ByteRounding rounding_;
  Wiring wiring_;
};

// As ImageConvolution; the image is rounded first.
class ByteImageConvolution : public Step {
 public:
  ByteImageConvolution(const ByteLayer& layer, ByteWeights weights, int image_size, float image_scale, int result);
  void run(const Plan& plan, const float* image) override;
  StepReport report(const Plan& plan) const override;

 private:
  void round_rows(const float* image, int begin, int end);

  Convolution shape_;
  ByteWeights weights_;
  ByteRounding rounding_;
  int size_, padded_size_, result_;
  float scale_;
  Buffer<std::uint8_t> planes_;      // (channels, size, size): the image in bytes
  Buffer<std::uint8_t> pixels_;      // (padded, padded, channels)
  Buffer<std::int32_t> from_, to_;
};

// 3 x 3 maximum with stride 2 over the sites that exist, and what a table makes of it.
class ByteMaxPool : public Step {
 public:
  ByteMaxPool(int source, int result, int pairs, const Table* table);
  void run(const Plan& plan, const float* image) override;
  StepReport report(const Plan& plan) const override;

 private:
  int source_, result_, pairs_;
  bool has_table_;
  Table table_;
};

}  // namespace hoi
