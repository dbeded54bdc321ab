#pragma once
// Register bytes to values; what is out of range or marked as absent is missing.
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include "registers.h"

namespace esphome::renogy {

/// One decoded register. A CODE has a text only if a document names it, FLAGS have the names of their set bits.
struct Value {
  enum class Kind : uint8_t { MISSING, NUMBER, CODE, FLAGS, TEXT, ARRAY };

  Kind kind{Kind::MISSING};
  double number{NAN};
  uint32_t raw{0};
  std::string text{};
  std::vector<double> items{};  // NAN: a missing one

  explicit operator bool() const { return this->kind != Kind::MISSING; }
};

struct Reading {
  int16_t row;
  Value value;
};

using Readings = std::vector<Reading>;

/// Whether a model's name is among `models`, in whatever case.
bool is_among(std::string_view name, Models models);
bool matches(const char *glob, std::string_view name);

/// Return `value` with `decimals` digits; what lies exactly between two goes to the even one.
double round_to(double value, int decimals);

/// Return every value that lies wholly in `data`, the bytes of the registers from `first` on.
Readings decode_block(std::span<const Row> rows, uint16_t first, std::span<const uint8_t> data, std::string_view model);

/// Whether a block holds readings at all: a device that starts or resets answers with one word throughout.
bool is_plausible(const Block &block, std::span<const uint8_t> data, const Readings &readings);

const Value *find(const Readings &readings, int16_t row);

/// Return what users see of a value that is no number; nothing when there is none.
std::optional<std::string> text_of(const Row &row, const Value &value);

bool is_problem(const Row &row, const Value &value);

}  // namespace esphome::renogy
