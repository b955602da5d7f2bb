// Chooses kernels by what the processor says of itself, at run time: one wheel serves all.
#include <stdexcept>

#include "byte_sets.h"

#ifdef HOI_AVXVNNI
#include <cpuid.h>
#endif
#if defined(HOI_NEON) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace hoi {
namespace {

#ifdef HOI_AVXVNNI
// Asked for by hand: compilers that make the instructions do not all know how to ask for them.
bool has_avxvnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kLeaf = 7, kAvxVnniBit = 1U << 4;
  return __get_cpuid_count(kLeaf, 1, &a, &b, &c, &d) != 0 && (a & kAvxVnniBit) != 0;
}
#endif

#ifdef HOI_NEON
bool has_dot_product() {
#if defined(__APPLE__)
  return true;
#elif defined(__linux__)
  constexpr unsigned long kDotProduct = 1UL << 20;  // HWCAP_ASIMDDP, which old headers lack
  return (getauxval(AT_HWCAP) & kDotProduct) != 0;
#else
  return false;
#endif
}
#endif

std::vector<const Kernels*> find_usable() {
  std::vector<const Kernels*> found;
#ifdef HOI_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) {
    if (__builtin_cpu_supports("avx512vnni")) found.push_back(&kAvx512Vnni);
    found.push_back(&kAvx512);
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
#ifdef HOI_AVXVNNI
    if (has_avxvnni()) found.push_back(&kAvxVnni);
#endif
    found.push_back(&kAvx2);
  }
#endif
#ifdef HOI_NEON
  if (has_dot_product()) found.push_back(&kNeonDot);
  found.push_back(&kNeon);
#endif
  found.push_back(&kPlain);
  return found;
}

}  // namespace

const std::vector<const Kernels*>& usable_kernels() {
  static const std::vector<const Kernels*> found = find_usable();
  return found;
}

const Kernels& kernels_named(const std::string& name) {
  std::string known;
  for (const Kernels* kernels : usable_kernels()) {
    if (name.empty() || name == kernels->name) return *kernels;
    known += std::string(known.empty() ? "" : ", ") + kernels->name;
  }
  throw std::invalid_argument("expected one of the instruction sets " + known + ", got " + name);
}

const ByteKernels& byte_kernels(const Kernels& set, int largest_weight) {
  return largest_weight <= set.narrow_bytes->largest_weight ? *set.narrow_bytes : *set.bytes;
}

}  // namespace hoi
