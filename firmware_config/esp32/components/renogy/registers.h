#pragma once
// The register map of a family as data: what `tables.py` writes and the decoder reads.
#include <cstdint>
#include <span>

namespace esphome::renogy {

using Millis = int64_t;  // since the start; for ever is NEVER
static constexpr Millis NEVER = INT64_MAX / 2;
static constexpr int16_t NO_ROW = -1;

enum class Type : uint8_t { UINT, INT, SIGN_MAGNITUDE, TEXT, VERSION, HEX, FLAGS, ALARMS, UINT_ARRAY, INT_ARRAY };
enum class Schedule : uint8_t { POLL, STARTUP, SLOW };
enum class Naming : uint8_t { NONE, CODES, BITS, PAIRS };  // what the codes of `names` are; a pair is two bits
enum class Total : uint8_t { NONE, DAILY, LIFETIME };

/// Globs: `*` is any text, `#` a digit.
using Models = std::span<const char *const>;

struct Name {
  uint32_t code;
  const char *text;
};

/// One row of the map; `raw >> shift & mask` is scaled, then held against low..high. Other rows go by their place.
struct Row {
  const char *key{""};
  uint16_t first{0};
  uint8_t words{1};
  Type type{Type::UINT};
  uint8_t shift{0};
  uint32_t mask{UINT32_MAX};
  double scale{0.0};  // 0: none
  uint8_t decimals{0};
  bool has_range{false};
  double low{0.0};
  double high{0.0};
  std::span<const uint32_t> missing{};
  Naming naming{Naming::NONE};
  std::span<const Name> names{};
  uint32_t millivolts_from{0};    // 0: never; an item of at least this much says that all are millivolts
  int16_t count_from{NO_ROW};     // the row that counts an array's items
  int16_t bank_from{NO_ROW};      // the row with the system's voltage: the value is meant for each 12 V of it
  int16_t limit_from{NO_ROW};     // a value beyond `limit` times that row is none
  double limit{0.0};
  bool is_unsure{false};          // its scale can't be told, or captures contradict the documents
  bool is_problem{false};
  uint32_t problem_bits{0};
  Total total{Total::NONE};
  Models inverted_on{};
  Models doubtful_on{};
};

struct Limits {
  int16_t row;
  double low;
  double high;
};

/// A span of registers that one request reads; believed while `plausible` values are in their limits.
struct Block {
  uint16_t first{0};
  uint8_t words{0};
  Schedule schedule{Schedule::POLL};
  std::span<const Limits> plausible{};
  Models only_on{};
  Models not_on{};

  bool holds(const Row &row) const {
    return this->first <= row.first && row.first + row.words <= this->first + this->words;
  }
};

/// What a model string proves.
struct Kin {
  const char *models;
  const char *family;
};

struct Map {
  const char *family{""};
  std::span<const uint8_t> addresses{};  // in the order to probe
  Millis interval{2000};
  Millis gap{100};
  Millis timeout{2000};
  std::span<const Kin> kin{};
  std::span<const Block> blocks{};
  std::span<const Row> rows{};
  int16_t model_row{NO_ROW};
};

}  // namespace esphome::renogy
