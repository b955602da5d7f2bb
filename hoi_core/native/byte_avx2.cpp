// AVX2, as AVX-512 without VNNI.
#include "byte_sets.h"

#ifdef HOI_X86
#define HOI_TARGET __attribute__((target("avx2,fma")))
#include "byte_avx2.h"
#define HOI_WIDE

namespace hoi {
namespace {

// 5 x 2 sums, two weights, an input, ones and a product: fifteen of sixteen registers.
constexpr int kRows = 5;

HOI_INLINE Vec products(Vec x, Vec w) { return _mm256_maddubs_epi16(x, w); }
HOI_INLINE Vec add_shorts(Vec a, Vec b) { return _mm256_add_epi16(a, b); }
HOI_INLINE Vec add_pairs(Vec sum, Vec shorts) { return add(sum, _mm256_madd_epi16(shorts, _mm256_set1_epi16(1))); }
HOI_INLINE Vec dot(Vec sum, Vec x, Vec w) { return add_pairs(sum, products(x, w)); }
HOI_INLINE Vec pair(const std::int16_t* p) { return four_bytes(p); }
HOI_INLINE Vec pairs_of(const std::int8_t* p) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
HOI_INLINE Vec dot_pairs(Vec sum, Vec x, Vec w) { return add(sum, _mm256_madd_epi16(x, w)); }
HOI_INLINE void widen(const std::uint8_t* from, std::int16_t* to, int count) {
  for (int i = 0; i < count; i += kByteChunk) {
    const Vec wide = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
    _mm256_storeu_si256(reinterpret_cast<Vec*>(to + i), wide);
  }
}

}  // namespace
}  // namespace hoi

#include "byte_tile.h"

namespace hoi {
const ByteKernels kByteAvx2 = {kPanel, Bytes::kGroup, kNarrowWeight, Bytes::kAddsBlocks, kOffset, byte_gemm<Bytes>,
                                 round_rows, mix, byte_multiply_adds<Bytes>};
const ByteKernels kShortAvx2 = {kPanel, Shorts::kGroup, 128, Shorts::kAddsBlocks, kOffset, byte_gemm<Shorts>,
                                 round_rows, mix, byte_multiply_adds<Shorts>};
}  // namespace hoi
#endif
