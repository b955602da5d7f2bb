// AVX-512 with VNNI: four products are added up in 32 bits by one instruction.
#include "byte_sets.h"

#ifdef HOI_X86
#define HOI_TARGET __attribute__((target("avx512f,avx512bw,avx512vnni")))
#include "byte_avx512.h"

namespace hoi {
namespace {

HOI_INLINE Vec dot(Vec sum, Vec x, Vec w) { return _mm512_dpbusd_epi32(sum, x, w); }

}  // namespace
}  // namespace hoi

#include "byte_tile.h"

namespace hoi {
const ByteKernels kByteAvx512Vnni = {kPanel, Bytes::kGroup, 128, Bytes::kAddsBlocks, kOffset, byte_gemm<Bytes>,
                                 round_rows, mix, byte_multiply_adds<Bytes>};
}  // namespace hoi
#endif
