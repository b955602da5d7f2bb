// From maps of the joints to places.
#pragma once

#include <cstdint>
#include <vector>

namespace hoi {

// Where the answers go.
struct HandAnswer {
  float* uv = nullptr;           // (joints, 2)
  float* depth = nullptr;        // (joints + 1)
  float* vertices = nullptr;     // (vertices, 3)
  float* confidence = nullptr;   // (joints)
};

// The four cells around a place of a grid, and how much each counts; beyond the outer centres they go on.
struct Corners {
  int cell[4];
  float share[4];
  // -1 and 1 are the outer edges of the grid.
  Corners(const float* uv, int side);
};

// Cell of the grid of half as many cells a side that lies over each cell.
std::vector<std::int32_t> cells_above(int side);

// Expectation of the softmax of maps, and its peak.
class SoftArgmax {
 public:
  SoftArgmax(int joints, int side)
      : joints_(joints), side_(side), peak_(joints), sum_(joints), across_(joints), down_(joints) {}
  // `maps` are rows of `joints` floats, `step` floats apart, one for each cell.
  void run(const float* maps, int step, const HandAnswer& answer);

 private:
  int joints_, side_;
  std::vector<float> peak_, sum_, across_, down_;
};

}  // namespace hoi
