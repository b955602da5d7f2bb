#include "byte_sets.h"

#ifdef HOI_NEON
#include <arm_neon.h>

#ifndef __clang__
// 24 sums, 4 weights and one input fill the registers; GCC would move all six inputs to the front and spill three sums.
#pragma GCC optimize("no-schedule-insns")
#endif

#define HOI_TARGET
#define HOI_INLINE inline __attribute__((always_inline))

namespace hoi {
namespace {

using Vec = float32x4_t;
constexpr int kLanes = 4;
constexpr int kRows = 6;
constexpr int kVectors = 4;

HOI_INLINE Vec load(const float* p) { return vld1q_f32(p); }
HOI_INLINE void store(float* p, Vec v) { vst1q_f32(p, v); }
HOI_INLINE Vec broadcast(const float* p) { return vld1q_dup_f32(p); }
HOI_INLINE Vec fma(Vec a, Vec b, Vec c) { return vfmaq_f32(c, a, b); }
HOI_INLINE Vec positive(Vec v) { return vmaxq_f32(v, vdupq_n_f32(0.0F)); }

}  // namespace
}  // namespace hoi

#include "gemm_tile.h"

namespace hoi {
const Kernels kNeon = {"neon", kPanel, kLanes, gemm, multiply_adds, &kBytePlain, &kBytePlain};
const Kernels kNeonDot = {"neondot", kPanel, kLanes, gemm, multiply_adds, &kByteNeonDot, &kByteNeonDot};
}  // namespace hoi
#endif
