// Which instruction sets this build has kernels for.
#pragma once

#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define HOI_X86
#endif
#if defined(HOI_X86) && (defined(__clang__) || __GNUC__ >= 11)
#define HOI_AVXVNNI
#endif
#if defined(__aarch64__) && defined(__GNUC__)
#define HOI_NEON
#endif

namespace hoi {

extern const Kernels kPlain;
#ifdef HOI_X86
extern const Kernels kAvx2, kAvx512, kAvx512Vnni;
#endif
#ifdef HOI_AVXVNNI
extern const Kernels kAvxVnni;
#endif
#ifdef HOI_NEON
extern const Kernels kNeon, kNeonDot;
#endif

}  // namespace hoi
