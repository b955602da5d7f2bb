// Which instruction sets this build has kernels for.
#pragma once

#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define HOI_X86
#endif
#if defined(__aarch64__) && defined(__GNUC__)
#define HOI_NEON
#endif

namespace hoi {

extern const Kernels kPlain;
#ifdef HOI_X86
extern const Kernels kAvx2, kAvx512;
#endif
#ifdef HOI_NEON
extern const Kernels kNeon;
#endif

}  // namespace hoi
