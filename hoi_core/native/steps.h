// The steps of a plan.
#pragma once

#include <utility>

#include "plan.h"

namespace hoi {

class Step {
 public:
  virtual ~Step() = default;
  virtual void run(const Plan& plan, const float* image) = 0;
  // Sizes, sites and multiply-adds of the last run.
  virtual StepReport report(const Plan& plan) const = 0;
};

// A convolution between site sets: one product for each tap, over the pairs of sites that exist. No product is spent
// on a neighbour that is not there, which indirect or masked kernels multiply by zero.
class SiteConvolution : public Step {
 public:
  struct Wiring {
    int source, residual, result, pairs;
  };
  SiteConvolution(const Convolution& conv, Weights weights, Wiring wiring)
      : conv_(conv), weights_(std::move(weights)), wiring_(wiring) {}
  void run(const Plan& plan, const float* image) override;
  StepReport report(const Plan& plan) const override;

 private:
  void multiply(const Plan& plan, std::pair<int, int> panels, Share of_rows) const;

  Convolution conv_;
  Weights weights_;
  Wiring wiring_;
};

// A convolution that reads the image. With so few channels whole windows are multiplied: all pixels are there, and a
// row of a window lies in one piece in an image of interleaved channels.
class ImageConvolution : public Step {
 public:
  ImageConvolution(const Convolution& conv, Weights&& weights, const Kernels& kernels, int image_size, int result);
  void run(const Plan& plan, const float* image) override;
  StepReport report(const Plan& plan) const override;

 private:
  void interleave(const float* image);
  void multiply(const Value& out, int begin, int end) const;

  Convolution conv_;
  const Kernels& kernels_;
  Weights weights_;
  int size_, padded_size_, result_;
  Buffer<float> pixels_;            // (padded, padded, channels)
  Buffer<std::int32_t> from_, to_;
};

// 3 x 3 maximum with stride 2 over the sites that exist.
class MaxPool : public Step {
 public:
  MaxPool(int source, int result, int pairs) : source_(source), result_(result), pairs_(pairs) {}
  void run(const Plan& plan, const float* image) override;
  StepReport report(const Plan& plan) const override;

 private:
  int source_, result_, pairs_;
};

}  // namespace hoi
