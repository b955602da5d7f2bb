#include "byte_steps.h"

#include <algorithm>
#include <numeric>

#include "clones.h"
#include "rounding.h"

namespace hoi {
namespace {

constexpr float kLargest = 255.0F;

void look_up(const Table& table, std::uint8_t* bytes, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) bytes[i] = table[bytes[i]];
}

HOI_CLONES void bytes_of(const float* values, float scale, std::int64_t count, std::uint8_t* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = byte_of(values[i], scale);
}

}  // namespace

ByteRounding::ByteRounding(const ByteLayer& layer) : has_table(layer.table != nullptr) {
  common.zero = layer.zero;
  // A residual is added before the ReLU, which then is its clipping at zero.
  common.low = layer.shape.relu && layer.residual < 0 ? 0.0F : -static_cast<float>(layer.zero);
  common.high = kLargest - static_cast<float>(layer.zero);
  common.again = layer.again || layer.residual >= 0;
  common.again_zero = layer.again_zero;
  common.kept_first = layer.kept_first;
  common.own_ratio = layer.own_ratio;
  common.kept_ratio = layer.kept_ratio;
  common.fixed = layer.fixed;
  if (has_table) table = *layer.table;
}

Rounding ByteRounding::in(const ByteWeights& weights, int panel, const std::uint8_t* kept) const {
  Rounding rounding = common;
  rounding.multiplier = weights.multiplier(panel);
  rounding.kept = kept;
  return rounding;
}

void ByteRounding::finish(std::uint8_t* rows, std::int64_t count) const {
  if (has_table) look_up(table, rows, count);
}

void multiply_panel(const ByteWeights& weights, const Pairs& pairs, const ByteTask& task, int panel, RowRange rows,
                    const Rounding* rounding) {
  const int taps = static_cast<int>(pairs.tap.size());
  ByteGemm job;
  job.in = task.in;
  job.in_step = task.in_step;
  job.channels = weights.channels();
  job.width = weights.width(panel);
  job.sums = task.scratch.sums;
  job.widened = task.scratch.widened;
  job.out = rounding == nullptr ? nullptr : task.out + weights.first(panel);
  job.out_step = task.out_step;
  const bool last_reaches_all = pairs.begin[taps] - pairs.begin[taps - 1] == rows.all;
  if (taps > 1 || !last_reaches_all) {
    const std::int32_t* start = weights.start(panel);
    for (std::int64_t i = rows.begin; i < rows.end; ++i) {
      std::copy(start, start + job.width, job.sums + i * weights.kernels().panel);
    }
  } else {
    job.start = weights.start(panel);
  }
  for (int t = 0; t < taps; ++t) {
    const PairRange range = pairs.of(t, rows.begin, rows.end);
    job.from = range.from;
    job.to = range.to;
    job.count = range.count;
    job.weights = weights.at(panel, t);
    job.fits = weights.fits(panel, t);
    job.rounding = last_reaches_all && t == taps - 1 ? rounding : nullptr;
    weights.kernels().gemm(job);
  }
  if (last_reaches_all || rounding == nullptr) return;
  job.rounding = rounding;
  weights.kernels().round_rows(job, rows.begin, rows.end);
}

std::int64_t widened_for(std::int64_t channels) { return kMostRows * (channels + kByteChunk) + kByteChunk; }

void ByteSiteConvolution::run(const Plan& plan, const float*) {
  const int rows = plan.sites(plan.value(wiring_.result).level).count();
  const int panels = weights_.panels();
  plan.pool().run([&](Share share) {
    const Cut own(share, panels);
    for (int p = own.panels.begin(panels); p < own.panels.end(panels); ++p) {
      compute(plan, p, own.rows.begin(rows), own.rows.end(rows), share);
    }
  });
  if (!rounding_.has_table) return;
  plan.pool().run([&](Share share) {
    const std::int64_t width = padded(shape_.c_out);
    const int begin = share.begin(rows);
    rounding_.finish(plan.value(wiring_.result).bytes + begin * width, (share.end(rows) - begin) * width);
  });
}

void ByteSiteConvolution::compute(const Plan& plan, int panel, int begin, int end, Share share) const {
  const Value& in = plan.value(wiring_.source);
  const Value& out = plan.value(wiring_.result);
  const std::uint8_t* kept = wiring_.residual < 0 ? nullptr : plan.value(wiring_.residual).bytes;
  const Rounding rounding =
      rounding_.in(weights_, panel, kept == nullptr ? nullptr : kept + weights_.first(panel));
  const ByteTask task{in.bytes, padded(shape_.c_in), out.bytes, padded(shape_.c_out), plan.byte_scratch(share)};
  const RowRange rows{begin, end, plan.sites(out.level).count()};
  multiply_panel(weights_, plan.pairs(wiring_.pairs), task, panel, rows, &rounding);
}

StepReport ByteSiteConvolution::report(const Plan& plan) const {
  const Value& out = plan.value(wiring_.result);
  const double pairs = static_cast<double>(plan.pairs(wiring_.pairs).from.size());
  return {"convolution", plan.cells(out.level), shape_.c_in, shape_.c_out, shape_.kernel, plan.sites(out.level).count(),
          pairs * shape_.c_in * shape_.c_out, 0.0};
}

ByteImageConvolution::ByteImageConvolution(const ByteLayer& layer, ByteWeights weights, int image_size,
                                           float image_scale, int result)
    : shape_(layer.shape),
      weights_(std::move(weights)),
      rounding_(layer),
      size_(image_size),
      padded_size_(image_size + layer.shape.kernel - 1),
      result_(result),
      scale_(image_scale),
      planes_(make_buffer<std::uint8_t>(static_cast<std::size_t>(image_size) * image_size * layer.shape.c_in)),
      // A window's row is read in whole pieces, beyond its own end.
      pixels_(make_buffer<std::uint8_t>(static_cast<std::size_t>(padded_size_) * padded_size_ * shape_.c_in +
                                        2 * kByteChunk)) {
  const auto outputs = static_cast<std::size_t>(image_size / shape_.stride);
  from_ = make_buffer<std::int32_t>(outputs * outputs);
  to_ = make_buffer<std::int32_t>(outputs * outputs);
  std::iota(to_.get(), to_.get() + outputs * outputs, 0);
}

void ByteImageConvolution::round_rows(const float* image, int begin, int end) {
  const int half = shape_.kernel / 2;
  const std::int64_t plane = static_cast<std::int64_t>(size_) * size_;
  for (int c = 0; c < shape_.c_in; ++c) {
    const std::int64_t first = c * plane + std::int64_t{begin} * size_;
    bytes_of(image + first, scale_, std::int64_t{end - begin} * size_, planes_.get() + first);
  }
  for (int y = begin; y < end; ++y) {
    std::uint8_t* to = pixels_.get() + (static_cast<std::int64_t>(y + half) * padded_size_ + half) * shape_.c_in;
    const std::uint8_t* row = planes_.get() + static_cast<std::int64_t>(y) * size_;
    for (int x = 0; x < size_; ++x) {
      for (int c = 0; c < shape_.c_in; ++c) *to++ = row[c * plane + x];
    }
  }
}

void ByteImageConvolution::run(const Plan& plan, const float* image) {
  plan.pool().run([&](Share share) { round_rows(image, share.begin(size_), share.end(size_)); });
  const Value& out = plan.value(result_);
  const Sites& sites = plan.sites(out.level);
  for (int i = 0; i < sites.count(); ++i) {
    from_[i] = (sites.y[i] * shape_.stride * padded_size_ + sites.x[i] * shape_.stride) * shape_.c_in;
  }
  plan.pool().run([&](Share share) {
    ByteGemm job;
    const int begin = share.begin(sites.count());
    job.in = pixels_.get();
    job.in_step = 1;
    job.from = from_.get() + begin;
    job.to = to_.get() + begin;
    job.count = share.end(sites.count()) - begin;
    job.channels = weights_.channels();
    job.segments = shape_.kernel;
    job.segment_step = static_cast<std::int64_t>(padded_size_) * shape_.c_in;
    job.widened = plan.byte_scratch(share).widened;
    job.out_step = padded(shape_.c_out);
    for (int p = 0; p < weights_.panels(); ++p) {
      const Rounding rounding = rounding_.in(weights_, p, nullptr);
      job.rounding = &rounding;
      job.start = weights_.start(p);
      job.width = weights_.width(p);
      job.weights = weights_.at(p, 0);
      job.fits = weights_.fits(p, 0);
      job.out = out.bytes + weights_.first(p);
      weights_.kernels().gemm(job);
    }
    rounding_.finish(out.bytes + begin * job.out_step, job.count * job.out_step);
  });
}

StepReport ByteImageConvolution::report(const Plan& plan) const {
  const Value& out = plan.value(result_);
  const int sites = plan.sites(out.level).count();
  return {"image", plan.cells(out.level), shape_.c_in, shape_.c_out, shape_.kernel, sites,
          static_cast<double>(sites) * shape_.taps() * shape_.c_in * shape_.c_out, 0.0};
}

ByteMaxPool::ByteMaxPool(int source, int result, int pairs, const Table* table)
    : source_(source), result_(result), pairs_(pairs), has_table_(table != nullptr) {
  if (has_table_) table_ = *table;
}

void ByteMaxPool::run(const Plan& plan, const float*) {
  const Value& in = plan.value(source_);
  const Value& out = plan.value(result_);
  const Pairs& pairs = plan.pairs(pairs_);
  const int width = padded(out.channels);
  const std::int64_t all = static_cast<std::int64_t>(plan.sites(out.level).count()) * width;
  std::fill(out.bytes, out.bytes + all, std::uint8_t{0});  // values are those of a ReLU
  for (std::size_t i = 0; i < pairs.from.size(); ++i) {
    const std::uint8_t* from = in.bytes + static_cast<std::int64_t>(pairs.from[i]) * width;
    std::uint8_t* to = out.bytes + static_cast<std::int64_t>(pairs.to[i]) * width;
    for (int k = 0; k < width; ++k) to[k] = std::max(to[k], from[k]);
  }
  if (has_table_) look_up(table_, out.bytes, all);
}

StepReport ByteMaxPool::report(const Plan& plan) const {
  const Value& out = plan.value(result_);
  return {"max pool", plan.cells(out.level), out.channels, out.channels, 3, plan.sites(out.level).count(), 0.0, 0.0};
}

}  // namespace hoi
