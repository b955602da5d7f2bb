#include "steps.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace hoi {
namespace {

// What the products are added to: the bias, and what a residual connection brings.
void start_rows(float* out, const float* residual, const float* bias, int rows, int width) {
  for (int i = 0; i < rows; ++i, out += width) {
    if (residual == nullptr) {
      std::copy(bias, bias + width, out);
    } else {
      for (int k = 0; k < width; ++k) out[k] = bias[k] + residual[k];
      residual += width;
    }
  }
}

void rectify(float* values, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) values[i] = std::max(values[i], 0.0F);
}

}  // namespace

void SiteConvolution::run(const Plan& plan, const float*) {
  const Value& out = plan.value(wiring_.result);
  const Pairs& pairs = plan.pairs(wiring_.pairs);
  const int rows = plan.sites(out.level).count();
  const int width = padded(conv_.c_out);
  const float* residual = wiring_.residual < 0 ? nullptr : plan.value(wiring_.residual).rows;
  plan.pool().run([&](Share share) {
    const std::int64_t first = share.begin(rows);
    const float* kept = residual == nullptr ? nullptr : residual + first * width;
    start_rows(out.rows + first * width, kept, weights_.bias(), share.end(rows) - share.begin(rows), width);
  });
  const int panels = weights_.panels();
  plan.pool().run([&](Share share) {
    const Cut own(share, panels);
    multiply(plan, {own.panels.begin(panels), own.panels.end(panels)}, own.rows);
  });
  const int taps = conv_.taps();
  if (!conv_.relu || pairs.begin[taps] - pairs.begin[taps - 1] == rows) return;
  plan.pool().run([&](Share share) {
    const std::int64_t first = share.begin(rows);
    rectify(out.rows + first * width, (share.end(rows) - first) * width);
  });
}

void SiteConvolution::multiply(const Plan& plan, std::pair<int, int> panels, Share of_rows) const {
  const Value& in = plan.value(wiring_.source);
  const Value& out = plan.value(wiring_.result);
  const Pairs& pairs = plan.pairs(wiring_.pairs);
  const int rows = plan.sites(out.level).count();
  const int width = padded(conv_.c_out);
  Gemm job;
  job.in = in.rows;
  job.in_step = padded(conv_.c_in);
  job.out_step = width;
  job.channels = conv_.c_in;
  const int taps = conv_.taps();
  const bool last_reaches_all = pairs.begin[taps] - pairs.begin[taps - 1] == rows;
  for (int p = panels.first; p < panels.second; ++p) {
    job.out = out.rows + weights_.first(p);
    job.width = weights_.width(p);
    for (int t = 0; t < taps; ++t) {
      const PairRange range = pairs.of(t, of_rows.begin(rows), of_rows.end(rows));
      job.from = range.from;
      job.to = range.to;
      job.count = range.count;
      job.weights = weights_.at(p, t);
      job.relu = conv_.relu && last_reaches_all && t == taps - 1;
      plan.kernels().gemm(job);
    }
  }
}

StepReport SiteConvolution::report(const Plan& plan) const {
  const Value& out = plan.value(wiring_.result);
  const double pairs = static_cast<double>(plan.pairs(wiring_.pairs).from.size());
  return {"convolution", plan.cells(out.level), conv_.c_in, conv_.c_out, conv_.kernel, plan.sites(out.level).count(),
          pairs * conv_.c_in * conv_.c_out, 0.0};
}

ImageConvolution::ImageConvolution(const Convolution& conv, Weights&& weights, const Kernels& kernels, int image_size,
                                   int result)
    : conv_(conv),
      kernels_(kernels),
      weights_(std::move(weights)),
      size_(image_size),
      padded_size_(image_size + conv.kernel - 1),
      result_(result),
      pixels_(make_buffer<float>(static_cast<std::size_t>(padded_size_) * padded_size_ * conv.c_in)) {
  const int outputs = image_size / conv.stride;
  from_ = make_buffer<std::int32_t>(static_cast<std::size_t>(outputs) * outputs);
  to_ = make_buffer<std::int32_t>(static_cast<std::size_t>(outputs) * outputs);
  std::iota(to_.get(), to_.get() + static_cast<std::int64_t>(outputs) * outputs, 0);
}

void ImageConvolution::interleave(const float* image) {
  const int half = conv_.kernel / 2;
  const std::int64_t plane = static_cast<std::int64_t>(size_) * size_;
  for (int y = 0; y < size_; ++y) {
    float* to = pixels_.get() + (static_cast<std::int64_t>(y + half) * padded_size_ + half) * conv_.c_in;
    const float* row = image + static_cast<std::int64_t>(y) * size_;
    for (int x = 0; x < size_; ++x) {
      for (int c = 0; c < conv_.c_in; ++c) *to++ = row[c * plane + x];
    }
  }
}

void ImageConvolution::run(const Plan& plan, const float* image) {
  interleave(image);
  const Value& out = plan.value(result_);
  const Sites& sites = plan.sites(out.level);
  for (int i = 0; i < sites.count(); ++i) {
    from_[i] = (sites.y[i] * conv_.stride * padded_size_ + sites.x[i] * conv_.stride) * conv_.c_in;
  }
  plan.pool().run([&](Share share) { multiply(out, share.begin(sites.count()), share.end(sites.count())); });
}

void ImageConvolution::multiply(const Value& out, int begin, int end) const {
  const int width = padded(conv_.c_out);
  start_rows(out.rows + std::int64_t{begin} * width, nullptr, weights_.bias(), end - begin, width);
  Gemm job;
  job.in = pixels_.get();
  job.from = from_.get() + begin;
  job.to = to_.get() + begin;
  job.in_step = 1;
  job.out_step = width;
  job.count = end - begin;
  job.channels = conv_.kernel * conv_.c_in;
  job.segments = conv_.kernel;
  job.segment_step = static_cast<std::int64_t>(padded_size_) * conv_.c_in;
  job.relu = conv_.relu;
  for (int p = 0; p < weights_.panels(); ++p) {
    job.out = out.rows + weights_.first(p);
    job.width = weights_.width(p);
    job.weights = weights_.at(p, 0);
    kernels_.gemm(job);
  }
}

StepReport ImageConvolution::report(const Plan& plan) const {
  const Value& out = plan.value(result_);
  const int sites = plan.sites(out.level).count();
  return {"image", plan.cells(out.level), conv_.c_in, conv_.c_out, conv_.kernel, sites,
          static_cast<double>(sites) * conv_.taps() * conv_.c_in * conv_.c_out, 0.0};
}

void MaxPool::run(const Plan& plan, const float*) {
  const Value& in = plan.value(source_);
  const Value& out = plan.value(result_);
  const Pairs& pairs = plan.pairs(pairs_);
  const int width = padded(out.channels);
  const std::int64_t all = static_cast<std::int64_t>(plan.sites(out.level).count()) * width;
  std::fill(out.rows, out.rows + all, -std::numeric_limits<float>::infinity());
  for (std::size_t i = 0; i < pairs.from.size(); ++i) {
    const float* from = in.rows + static_cast<std::int64_t>(pairs.from[i]) * width;
    float* to = out.rows + static_cast<std::int64_t>(pairs.to[i]) * width;
    for (int k = 0; k < width; ++k) to[k] = std::max(to[k], from[k]);
  }
}

StepReport MaxPool::report(const Plan& plan) const {
  const Value& out = plan.value(result_);
  return {"max pool", plan.cells(out.level), out.channels, out.channels, 3, plan.sites(out.level).count(), 0.0, 0.0};
}

}  // namespace hoi
