#pragma once
// The clock, which the test sets.
#include <cstdint>

namespace esphome {

inline uint64_t clock_ms = 0;
inline uint64_t millis_64() { return clock_ms; }

}  // namespace esphome
