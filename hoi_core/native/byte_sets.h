// The byte kernels that this build has.
#pragma once

#include "byte_kernels.h"
#include "instruction_sets.h"

namespace hoi {

extern const ByteKernels kBytePlain;
#ifdef HOI_X86
extern const ByteKernels kByteAvx2, kShortAvx2, kByteAvx512, kShortAvx512, kByteAvx512Vnni;
#endif
#ifdef HOI_AVXVNNI
extern const ByteKernels kByteAvxVnni;
#endif
#ifdef HOI_NEON
extern const ByteKernels kByteNeonDot;
#endif

}  // namespace hoi
