// ARM's dot product multiplies signed bytes by signed bytes: inputs become signed by taking 128 from them, and the
// weights come with 128 times their sum.
#include "byte_sets.h"

#ifdef HOI_NEON
#include <arm_neon.h>

#include <cstring>

#define HOI_TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#define HOI_INLINE HOI_TARGET inline __attribute__((always_inline))
#define HOI_REGISTER "w"

namespace hoi {
namespace {

using Vec = int32x4_t;
using Real = float32x4_t;
constexpr int kLanes = 4;
constexpr int kRows = 6;
constexpr int kVectors = 4;
constexpr int kOffset = 128;

HOI_INLINE Vec load_sums(const std::int32_t* p) { return vld1q_s32(p); }
HOI_INLINE void store_sums(std::int32_t* p, Vec v) { vst1q_s32(p, v); }
HOI_INLINE Vec load_weights(const std::int8_t* p) { return vreinterpretq_s32_s8(vld1q_s8(p)); }
HOI_INLINE Vec add(Vec a, Vec b) { return vaddq_s32(a, b); }
HOI_INLINE Vec whole(int value) { return vdupq_n_s32(value); }
HOI_INLINE Vec quad(const std::uint8_t* p) {
  std::uint32_t value;
  std::memcpy(&value, p, sizeof(value));
  return vreinterpretq_s32_u32(veorq_u32(vdupq_n_u32(value), vdupq_n_u32(0x80808080U)));
}
HOI_INLINE Vec dot(Vec sum, Vec x, Vec w) {
  return vdotq_s32(sum, vreinterpretq_s8_s32(x), vreinterpretq_s8_s32(w));
}
HOI_INLINE Real real(Vec v) { return vcvtq_f32_s32(v); }
HOI_INLINE Real load_reals(const float* p) { return vld1q_f32(p); }
HOI_INLINE Real all(float value) { return vdupq_n_f32(value); }
HOI_INLINE Real times(Real a, Real b) { return vmulq_f32(a, b); }
HOI_INLINE Real fma(Real a, Real b, Real c) { return vfmaq_f32(c, a, b); }
HOI_INLINE Real between(Real v, Real low, Real high) { return vminq_f32(vmaxq_f32(v, low), high); }
HOI_INLINE Vec nearest(Real v) { return vcvtnq_s32_f32(v); }
HOI_INLINE Vec load_bytes(const std::uint8_t* p) {
  std::uint32_t value;
  std::memcpy(&value, p, sizeof(value));
  const uint16x8_t shorts = vmovl_u8(vcreate_u8(value));
  return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(shorts)));
}
HOI_INLINE void store_bytes(std::uint8_t* p, Vec v) {
  const uint16x4_t shorts = vqmovun_s32(v);
  const uint8x8_t bytes = vqmovn_u16(vcombine_u16(shorts, shorts));
  const std::uint32_t value = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
  std::memcpy(p, &value, sizeof(value));
}

}  // namespace
}  // namespace hoi

#include "byte_tile.h"

namespace hoi {
const ByteKernels kByteNeonDot = {kPanel, Bytes::kGroup, 128, Bytes::kAddsBlocks, kOffset, byte_gemm<Bytes>,
                                 round_rows, mix, byte_multiply_adds<Bytes>};
}  // namespace hoi
#endif
