// Chooses kernels by what the processor says of itself, at run time: one wheel serves all.
#include <stdexcept>

#include "instruction_sets.h"

namespace hoi {
namespace {

std::vector<const Kernels*> find_usable() {
  std::vector<const Kernels*> found;
#ifdef HOI_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) found.push_back(&kAvx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(&kAvx2);
#endif
#ifdef HOI_NEON
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

}  // namespace hoi
