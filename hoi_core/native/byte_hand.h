// All of SPLite in 8-bit integers in one call: what hand.h is for floats. Every value is rounded as the file says.
#pragma once

#include "byte_mesh.h"
#include "edge_maps.h"
#include "joints.h"
#include "plan.h"

namespace hoi {

struct ByteHandWeights {
  // Those of heatmap and depth_out give real numbers. Of lateral16 and lateral8 the coarser map is the residual.
  ByteLayer lateral32, lateral16, smooth16, reduce16, lateral8, smooth8, heatmap, depth_hidden, depth_out;
  int largest_weight = 0;         // of all layers
  float pooled_ratio = 1.0F;      // from a mean of the encoder's bytes to those that depth_hidden reads
  float joints_ratio = 1.0F;      // from bytes of smooth16 to those that the decoder reads
  ByteDecoderWeights decoder;
};

class ByteHand {
 public:
  // `encoder` is finished, in bytes, gives features at strides 8, 16 and 32, and outlives this. Throws
  // std::invalid_argument for weights that do not fit together.
  ByteHand(Plan& encoder, const ByteHandWeights& weights, const EdgeSettings& edges);

  // `image` is (3, size, size).
  void run(const float* image, const HandAnswer& answer);

  // `pixels` is (size, size, channels): RGB, or with one channel an edge image.
  void run_crop(const std::uint8_t* pixels, int channels, const HandAnswer& answer);

  int size() const { return encoder_.size(); }
  int joints() const { return decoder_.joints(); }
  int depths() const { return depth_out_.c_out(); }
  int vertices() const { return decoder_.vertices(); }

 private:
  void gather(const float* uv);
  void find_depth(float* depth);

  Plan& encoder_;
  const ByteKernels& kernels_;
  EdgeMaps edges_;
  std::vector<float> image_;
  int side8_, side16_, side32_;
  std::vector<std::int32_t> above16_, above8_;   // cell of the coarser grid over each cell
  ByteProduct lateral32_, lateral16_, smooth16_, reduce16_, lateral8_, smooth8_, heatmap_, depth_hidden_, depth_out_;
  ByteRows x8_, x16_, x32_, p32_, p16_, s16_, r16_, p8_, s8_, pooled_, hidden_, joints_;
  float pooled_ratio_, joints_ratio_;
  std::vector<float> heat_;
  std::vector<std::int32_t> totals_;
  SoftArgmax soft_argmax_;
  ByteMeshDecoder decoder_;
  Buffer<std::int32_t> sums_;
  Buffer<std::int16_t> widened_;
  ByteScratch scratch_;
};

}  // namespace hoi
