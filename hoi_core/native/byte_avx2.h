// Vectors of 256 bits for byte_tile.h; what multiplies is left to the including file, which defines HOI_TARGET.
#include <immintrin.h>

#include "byte_kernels.h"

#define HOI_INLINE HOI_TARGET inline __attribute__((always_inline))
#define HOI_REGISTER "x"

namespace hoi {
namespace {

using Vec = __m256i;
using Real = __m256;
constexpr int kLanes = 8;
constexpr int kVectors = 2;
constexpr int kOffset = 0;

struct __attribute__((packed, may_alias)) FourBytes {
  std::int32_t value;
};
// Written out: compilers take a detour through a general register, and from there it costs one of the ports that multiply.
HOI_INLINE Vec four_bytes(const void* p) {
  Vec all;
  asm("vpbroadcastd %1, %0" : "=" HOI_REGISTER(all) : "m"(*static_cast<const FourBytes*>(p)));
  return all;
}
HOI_INLINE Vec load_sums(const std::int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const Vec*>(p)); }
HOI_INLINE void store_sums(std::int32_t* p, Vec v) { _mm256_storeu_si256(reinterpret_cast<Vec*>(p), v); }
HOI_INLINE Vec load_weights(const std::int8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const Vec*>(p)); }
HOI_INLINE Vec add(Vec a, Vec b) { return _mm256_add_epi32(a, b); }
HOI_INLINE Vec whole(int value) { return _mm256_set1_epi32(value); }
HOI_INLINE Vec quad(const std::uint8_t* p) { return four_bytes(p); }
HOI_INLINE Real real(Vec v) { return _mm256_cvtepi32_ps(v); }
HOI_INLINE Real load_reals(const float* p) { return _mm256_loadu_ps(p); }
HOI_INLINE Real all(float value) { return _mm256_set1_ps(value); }
HOI_INLINE Real times(Real a, Real b) { return _mm256_mul_ps(a, b); }
HOI_INLINE Real fma(Real a, Real b, Real c) { return _mm256_fmadd_ps(a, b, c); }
HOI_INLINE Real between(Real v, Real low, Real high) { return _mm256_min_ps(_mm256_max_ps(v, low), high); }
HOI_INLINE Vec nearest(Real v) { return _mm256_cvtps_epi32(v); }
HOI_INLINE Vec load_bytes(const std::uint8_t* p) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
HOI_INLINE void store_bytes(std::uint8_t* p, Vec v) {
  const __m128i shorts = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(shorts, shorts));
}

}  // namespace
}  // namespace hoi
