#include "byte_sets.h"

#ifdef HOI_X86
#include <immintrin.h>

#define HOI_TARGET __attribute__((target("avx2,fma")))
#define HOI_INLINE HOI_TARGET inline __attribute__((always_inline))

namespace hoi {
namespace {

using Vec = __m256;
constexpr int kLanes = 8;
constexpr int kRows = 6;
constexpr int kVectors = 2;

HOI_INLINE Vec load(const float* p) { return _mm256_loadu_ps(p); }
HOI_INLINE void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
HOI_INLINE Vec broadcast(const float* p) { return _mm256_broadcast_ss(p); }
HOI_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
HOI_INLINE Vec positive(Vec v) { return _mm256_max_ps(v, _mm256_setzero_ps()); }

}  // namespace
}  // namespace hoi

#include "gemm_tile.h"

namespace hoi {
const Kernels kAvx2 = {"avx2", kPanel, kLanes, gemm, multiply_adds, &kByteAvx2, &kShortAvx2};
#ifdef HOI_AVXVNNI
const Kernels kAvxVnni = {"avxvnni", kPanel, kLanes, gemm, multiply_adds, &kByteAvxVnni, &kByteAvxVnni};
#endif
}  // namespace hoi
#endif
