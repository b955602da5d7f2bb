// The two edge maps of a crop, bit for bit those that `hoi_core.edges` makes with OpenCV.
#pragma once

#include <cstdint>
#include <vector>

namespace hoi {

enum class Fusion { kSandwich, kEdgeGray, kSingle };

struct EdgeSettings {
  double blur_px = 0.0;
  int threshold_sobel = 1, threshold_canny_low = 1, threshold_canny_high = 1;
  Fusion fusion = Fusion::kSandwich;
};

class EdgeMaps {
 public:
  // Throws std::invalid_argument for settings that it does not know.
  EdgeMaps(int size, const EdgeSettings& settings);

  // `pixels` is (size, size, channels): RGB, or with one channel an edge image. Writes (3, size, size): the first map,
  // the second, the first again, 0 to 1.
  void run(const std::uint8_t* pixels, int channels, float* out);

 private:
  void make_gray(const std::uint8_t* rgb);
  void blur();
  void find_gradient();
  void find_strength();
  void find_canny();
  void suppress(int low, int high);
  void follow();

  int size_;
  EdgeSettings settings_;
  std::vector<int> kernel_;
  std::vector<std::uint8_t> gray_, smooth_, strength_, second_;
  std::vector<std::uint16_t> widened_, across_;
  std::vector<std::int16_t> framed_, dx_, dy_;
  std::vector<std::int32_t> magnitude_;   // (size + 2, size + 2): squared length, zero around the image
  std::vector<std::uint8_t> state_;       // likewise
  std::vector<std::int32_t> waiting_;
  float share_[256];
};

}  // namespace hoi
