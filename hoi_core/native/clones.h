// Loops that the compiler makes vectors of, once for each processor; the fastest is taken when the library is loaded.
#pragma once

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define HOI_CLONES __attribute__((target_clones("arch=skylake-avx512", "avx2", "default")))
#else
#define HOI_CLONES
#endif
