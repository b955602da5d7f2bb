// From bytes at the joints to vertices: what mesh.h is for floats.
#pragma once

#include <optional>
#include <vector>

#include "byte_rows.h"
#include "mesh.h"

namespace hoi {

// One spiral convolution; where the channels that it left alone are mixed with its result, that is rounded once more,
// to their common scale. `mix.shape.c_out` 0: there is no such map.
struct ByteSpiralWeights {
  int vertices = 0, length = 0;
  const std::int64_t* spirals = nullptr;   // (vertices, length)
  ByteLayer conv, mix;
};

struct ByteDecoderWeights {
  ByteMapWeights lift;
  std::vector<ByteMapWeights> up;          // from coarse to fine
  std::vector<ByteSpiralWeights> convs;    // one for each of `up`
  ByteSpiralWeights last;                  // to real numbers, 3 channels
  ByteMapWeights last_again;               // from what it reads to the scale of what is mixed, each vertex for itself
  Matrix mean;                             // (vertices, 3)
};

class ByteSpiralConvolution {
 public:
  // `channels` of the features it is given.
  ByteSpiralConvolution(const ByteSpiralWeights& weights, int channels, const ByteKernels& kernels);
  // `part`: the channels that spirals read, in the first ones of its rows; `all`: all of them in the scale that they
  // have in common with the result, which is written over the first. The result is `out`, or numbers in rows of `c_out`.
  void run(const ByteRows& part, ByteRows& all, ByteRows& out, ByteScratch scratch);
  void run_reals(const ByteRows& part, ByteRows& all, float* out, ByteScratch scratch);
  bool mixes() const { return mix_.has_value(); }
  int part() const { return part_; }
  int c_out() const { return mix_ ? mix_->c_out() : conv_.c_out(); }
  ByteNeeds needs() const;

 private:
  void gather(const ByteRows& part);
  void convolve(const ByteRows& part, ByteRows& all, ByteScratch scratch);

  int part_, length_;
  std::vector<std::int32_t> spirals_;
  ByteProduct conv_;
  std::optional<ByteProduct> mix_;
  ByteRows gathered_, convolved_;
};

class ByteMeshDecoder {
 public:
  // `channels` of the features at the joints. Throws std::invalid_argument for weights that do not fit together.
  ByteMeshDecoder(const ByteDecoderWeights& weights, int channels, const ByteKernels& kernels);
  // `joints` are rows of features; `vertices` is (vertices, 3).
  void run(const ByteRows& joints, float* vertices, ByteScratch scratch);
  int joints() const { return lift_.columns(); }
  int vertices() const { return mean_count_; }
  ByteNeeds needs() const;

 private:
  struct Level {
    ByteVertexMap up;
    ByteSpiralConvolution conv;
    ByteRows part, all, out;
  };
  ByteVertexMap lift_;
  ByteRows lifted_;
  std::vector<Level> levels_;
  std::optional<ByteSpiralConvolution> last_;
  std::optional<ByteVertexMap> last_again_;
  ByteRows last_all_;
  std::vector<float> mean_, displaced_;
  int mean_count_ = 0;
};

}  // namespace hoi
