// Products of rows of bytes over neighbours that are known beforehand: what rows.h is for floats.
#pragma once

#include <vector>

#include "byte_steps.h"

namespace hoi {

// Bytes of cells or vertices, a row each, padded like those of a plan.
struct ByteRows {
  int count = 0, channels = 0;
  Buffer<std::uint8_t> values;
  ByteRows() = default;
  ByteRows(int rows, int width)
      : count(rows),
        channels(width),
        values(make_buffer<std::uint8_t>(static_cast<std::size_t>(rows) * padded(width) + kByteChunk)) {}
  int step() const { return padded(channels); }
  std::uint8_t* at(int row) const { return values.get() + static_cast<std::int64_t>(row) * step(); }
};

// What sums and widened inputs need at most.
struct ByteNeeds {
  std::int64_t sums = 0, widened = 0;
  void grow(const ByteNeeds& other);
};

// Rows that are added to a product's own, which tells their ratio: row index[i] to row i.
struct ByteStart {
  const ByteRows* rows = nullptr;
  const std::int32_t* index = nullptr;
};

class ByteProduct {
 public:
  // Throws std::invalid_argument for numbers that no layer has.
  ByteProduct(const ByteLayer& layer, Pairs pairs, int rows, const ByteKernels& kernels);

  void run(const ByteRows& in, ByteRows& out, ByteScratch scratch, ByteStart start = {}) const;
  // The sums as real numbers, rounded to nothing, in rows of `c_out` floats.
  void run_reals(const ByteRows& in, float* out, ByteScratch scratch) const;

  int c_in() const { return shape_.c_in; }
  int c_out() const { return shape_.c_out; }
  ByteNeeds needs() const;

 private:
  void demand_rows(const ByteRows& in) const;

  Convolution shape_;
  ByteWeights weights_;
  ByteRounding rounding_;
  Pairs pairs_;
  int rows_;
};

// A convolution with stride 1 over all cells of a grid, zeros around it.
ByteProduct grid_product(const ByteLayer& layer, int cells_along_side, const ByteKernels& kernels);

// The same linear map for each of so many rows.
ByteProduct row_product(const ByteLayer& layer, int rows, const ByteKernels& kernels);

// A linear map along the rows: one number for each pair of an output row and an input row.
struct ByteMapWeights {
  int rows = 0, columns = 0;
  const std::int8_t* weight = nullptr;    // (rows, columns); null: each row is its own input
  const float* multiplier = nullptr;      // (rows)
  int zero_in = 0, zero = 0;
  // What is added up is rounded, and then may become bytes of another scale: ratio * byte + fixed, around a zero point.
  float ratio = 1.0F, fixed = 0.0F;
  int again_zero = 0;
};

// Weights of zero cost nothing.
class ByteVertexMap {
 public:
  // Throws std::invalid_argument for numbers that no layer has.
  ByteVertexMap(const ByteMapWeights& weights, const ByteKernels& kernels);
  // The first channels of each row, as many as `out` has; `again`: as bytes of the other scale.
  void run(const ByteRows& in, ByteRows& out, bool again) const;
  int rows() const { return static_cast<int>(begin_.size()) - 1; }
  int columns() const { return columns_; }

 private:
  const ByteKernels& kernels_;
  int columns_;
  Rounding rounding_;
  std::vector<int> begin_;
  std::vector<std::int32_t> column_;
  std::vector<float> weight_, multiplier_, start_;
};

}  // namespace hoi
