// From features at the joints to vertices: lifting, upsampling, partial spiral convolutions (SPLite).
#pragma once

#include <optional>
#include <vector>

#include "rows.h"

namespace hoi {

// (rows, columns).
struct Matrix {
  int rows = 0, columns = 0;
  const float* values = nullptr;
};

// One spiral convolution: what it reads of each vertex, its linear map over a spiral (c_out, length * part), and the
// map that mixes its result with the channels it left alone (c_out 0: there is none).
struct SpiralWeights {
  int vertices = 0, length = 0;
  const std::int64_t* spirals = nullptr;   // (vertices, length)
  Layer conv, mix;
};

struct DecoderWeights {
  Matrix lift;                             // (coarsest vertices, joints)
  std::vector<Matrix> up;                  // from coarse to fine
  std::vector<SpiralWeights> convs;        // one for each of `up`
  SpiralWeights last;                      // to 3 channels
  Matrix mean;                             // (vertices, 3)
};

// A linear map along the vertices; weights of zero, which most of upsampling are, cost nothing.
class VertexMap {
 public:
  explicit VertexMap(const Matrix& matrix);
  void run(const Rows& in, Rows& out) const;
  int rows() const { return static_cast<int>(begin_.size()) - 1; }
  int columns() const { return columns_; }

 private:
  int columns_;
  std::vector<int> begin_, column_;
  std::vector<float> weight_;
};

class SpiralConvolution {
 public:
  // `channels` of the features it is given.
  SpiralConvolution(const SpiralWeights& weights, int channels, const Kernels& kernels);
  // Writes over `x`.
  void run(Rows& x, Rows& out, bool relu);
  int c_out() const { return mix_ ? mix_->c_out() : conv_.c_out(); }

 private:
  Product conv_;
  std::optional<Product> mix_;
  Rows convolved_;
};

class MeshDecoder {
 public:
  // `channels` of the features at the joints. Throws std::invalid_argument for weights that do not fit together.
  MeshDecoder(const DecoderWeights& weights, int channels, const Kernels& kernels);
  // `joints` are rows of features; `vertices` is (vertices, 3).
  void run(const Rows& joints, float* vertices);
  int joints() const { return lift_.columns(); }
  int vertices() const { return last_in_.count; }

 private:
  struct Level {
    VertexMap up;
    SpiralConvolution conv;
    Rows in, out;
  };
  VertexMap lift_;
  Rows lifted_;
  std::vector<Level> levels_;
  std::optional<SpiralConvolution> last_;
  Rows last_in_, displaced_;
  std::vector<float> mean_;
};

}  // namespace hoi
