// What the engine refuses.
#pragma once

#include <stdexcept>
#include <string>

namespace hoi {

// Throws std::invalid_argument. Literals stay literals: frames ask too, and take no memory.
inline void demand(bool holds, const char* expected) {
  if (!holds) throw std::invalid_argument(std::string("expected ") + expected);
}

inline void demand(bool holds, const std::string& expected) { demand(holds, expected.c_str()); }

}  // namespace hoi
