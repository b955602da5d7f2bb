#include "byte_sets.h"

#ifdef HOI_X86
#include <immintrin.h>

#define HOI_TARGET __attribute__((target("avx512f")))
#define HOI_INLINE HOI_TARGET inline __attribute__((always_inline))

namespace hoi {
namespace {

using Vec = __m512;
constexpr int kLanes = 16;
// 6 x 4 sums: 10 loads feed 24 multiplications. 14 x 2 would need more pointers than there are registers.
constexpr int kRows = 6;
constexpr int kVectors = 4;

HOI_INLINE Vec load(const float* p) { return _mm512_loadu_ps(p); }
HOI_INLINE void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
HOI_INLINE Vec broadcast(const float* p) { return _mm512_set1_ps(*p); }
HOI_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
// With a mask of all lanes: GCC 12 warns of an uninitialised operand in its own unmasked form.
HOI_INLINE Vec positive(Vec v) { return _mm512_maskz_max_ps(0xFFFF, v, _mm512_setzero_ps()); }

}  // namespace
}  // namespace hoi

#include "gemm_tile.h"

namespace hoi {
const Kernels kAvx512 = {"avx512", kPanel, kLanes, gemm, multiply_adds, &kByteAvx512, &kShortAvx512};
const Kernels kAvx512Vnni = {"avx512vnni", kPanel, kLanes, gemm, multiply_adds, &kByteAvx512Vnni, &kByteAvx512Vnni};
}  // namespace hoi
#endif
