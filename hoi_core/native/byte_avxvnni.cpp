// VNNI in vectors of 256 bits, which desktop processors without AVX-512 have.
#include "byte_sets.h"

#ifdef HOI_AVXVNNI
#define HOI_TARGET __attribute__((target("avx2,fma,avxvnni")))
#include "byte_avx2.h"

namespace hoi {
namespace {

constexpr int kRows = 6;

HOI_INLINE Vec dot(Vec sum, Vec x, Vec w) { return _mm256_dpbusd_avx_epi32(sum, x, w); }

}  // namespace
}  // namespace hoi

#include "byte_tile.h"

namespace hoi {
const ByteKernels kByteAvxVnni = {kPanel, Bytes::kGroup, 128, Bytes::kAddsBlocks, kOffset, byte_gemm<Bytes>,
                                 round_rows, mix, byte_multiply_adds<Bytes>};
}  // namespace hoi
#endif
