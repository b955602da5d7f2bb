// All of SPLite in one call: edges of a crop, sparse encoder, heads, features at the joints, mesh.
#pragma once

#include "edge_maps.h"
#include "joints.h"
#include "mesh.h"
#include "plan.h"

namespace hoi {

struct HandWeights {
  Layer lateral32, lateral16, smooth16, reduce16, lateral8, smooth8, heatmap, depth_hidden, depth_out;
  DecoderWeights decoder;
};

class Hand {
 public:
  // `encoder` is finished, gives features at strides 8, 16 and 32, and outlives this. Throws std::invalid_argument for
  // weights that do not fit together.
  Hand(Plan& encoder, const HandWeights& weights, const EdgeSettings& edges);

  // `image` is (3, size, size).
  void run(const float* image, const HandAnswer& answer);

  // `pixels` is (size, size, channels): RGB, or with one channel an edge image.
  void run_crop(const std::uint8_t* pixels, int channels, const HandAnswer& answer);

  int size() const { return encoder_.size(); }
  int joints() const { return decoder_.joints(); }
  int depths() const { return depth_.channels; }
  int vertices() const { return decoder_.vertices(); }

 private:
  // The square grid of one stride: an output of the encoder on all cells.
  struct Grid {
    int side = 0, output = 0;
    Rows rows;
    Grid(const Plan& plan, int number);
    void take(const Plan& plan);
  };
  void gather(const float* uv);
  void find_depth(float* depth);

  Plan& encoder_;
  EdgeMaps edges_;
  std::vector<float> image_;
  Grid x8_, x16_, x32_;
  std::vector<std::int32_t> above16_, above8_;   // cell of the coarser grid over each cell
  Product lateral32_, lateral16_, smooth16_, reduce16_, lateral8_, smooth8_, heatmap_, depth_hidden_, depth_out_;
  Rows p32_, p16_, s16_, r16_, p8_, s8_, heat_, pooled_, hidden_, depth_, joints_;
  SoftArgmax soft_argmax_;
  MeshDecoder decoder_;
};

}  // namespace hoi
