// Vectors of 512 bits for byte_tile.h; what multiplies is left to the including file, which defines HOI_TARGET.
#include <immintrin.h>

#include "byte_kernels.h"

#define HOI_INLINE HOI_TARGET inline __attribute__((always_inline))
#define HOI_REGISTER "v"

namespace hoi {
namespace {

using Vec = __m512i;
using Real = __m512;
constexpr int kLanes = 16;
constexpr int kRows = 6;
constexpr int kVectors = 4;
constexpr int kOffset = 0;
// GCC 12 warns of an uninitialised operand in its own unmasked forms of some operations.
constexpr __mmask16 kAll = 0xFFFF;

struct __attribute__((packed, may_alias)) FourBytes {
  std::int32_t value;
};
// Written out: compilers take a detour through a general register, and from there it costs one of the ports that multiply.
HOI_INLINE Vec four_bytes(const void* p) {
  Vec all;
  asm("vpbroadcastd %1, %0" : "=" HOI_REGISTER(all) : "m"(*static_cast<const FourBytes*>(p)));
  return all;
}
HOI_INLINE Vec load_sums(const std::int32_t* p) { return _mm512_loadu_si512(p); }
HOI_INLINE void store_sums(std::int32_t* p, Vec v) { _mm512_storeu_si512(p, v); }
HOI_INLINE Vec load_weights(const std::int8_t* p) { return _mm512_loadu_si512(p); }
HOI_INLINE Vec add(Vec a, Vec b) { return _mm512_add_epi32(a, b); }
HOI_INLINE Vec whole(int value) { return _mm512_set1_epi32(value); }
HOI_INLINE Vec quad(const std::uint8_t* p) { return four_bytes(p); }
HOI_INLINE Real real(Vec v) { return _mm512_maskz_cvtepi32_ps(kAll, v); }
HOI_INLINE Real load_reals(const float* p) { return _mm512_loadu_ps(p); }
HOI_INLINE Real all(float value) { return _mm512_set1_ps(value); }
HOI_INLINE Real times(Real a, Real b) { return _mm512_mul_ps(a, b); }
HOI_INLINE Real fma(Real a, Real b, Real c) { return _mm512_fmadd_ps(a, b, c); }
HOI_INLINE Real between(Real v, Real low, Real high) {
  return _mm512_maskz_min_ps(kAll, _mm512_maskz_max_ps(kAll, v, low), high);
}
HOI_INLINE Vec nearest(Real v) { return _mm512_maskz_cvtps_epi32(kAll, v); }
HOI_INLINE Vec load_bytes(const std::uint8_t* p) {
  return _mm512_maskz_cvtepu8_epi32(kAll, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
HOI_INLINE void store_bytes(std::uint8_t* p, Vec v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_maskz_cvtepi32_epi8(kAll, v));
}

}  // namespace
}  // namespace hoi
