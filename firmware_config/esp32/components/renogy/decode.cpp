#include "decode.h"

#include <algorithm>
#include <cctype>
#include <cstdio>

namespace esphome::renogy {

using Bytes = std::span<const uint8_t>;

static constexpr size_t LONG_BYTES = 12;  // six registers that are equal, and not zero, are no readings
static constexpr double MILLI = 0.001;
static constexpr int MILLI_DECIMALS = 3;
static const char *const PAIR_STATES[] = {"", " low", " high", " other"};

bool matches(const char *glob, std::string_view name) {
  if (*glob == '\0')
    return name.empty();
  if (*glob == '*')
    return matches(glob + 1, name) || (!name.empty() && matches(glob, name.substr(1)));
  if (name.empty())
    return false;
  const auto letter = static_cast<unsigned char>(name[0]);
  const bool fits = *glob == '#' ? std::isdigit(letter) != 0 : std::toupper(letter) == *glob;
  return fits && matches(glob + 1, name.substr(1));
}

bool is_among(std::string_view name, Models models) {
  return std::any_of(models.begin(), models.end(), [&](const char *glob) { return matches(glob, name); });
}

double round_to(double value, int decimals) {
  double power = 1.0;
  while (decimals-- > 0)
    power *= 10.0;
  // the product is rounded itself, which may hide on which side of the middle it lies: fma does not
  double whole = std::floor(value * power);
  const double past_middle = std::fma(value, power, -(whole + 0.5));
  if (past_middle > 0 || (past_middle == 0 && std::fmod(whole, 2.0) != 0))
    whole += 1.0;
  return whole / power;
}

static uint32_t unsigned_of(Bytes raw) {
  uint32_t number = 0;
  for (uint8_t byte : raw)
    number = number << 8 | byte;
  return number;
}

static int32_t signed_of(Bytes raw) {
  const auto number = unsigned_of(raw);
  return raw.size() == 2 ? static_cast<int16_t>(number) : static_cast<int32_t>(number);
}

static bool is_missing(const Row &row, uint32_t number) {
  return std::find(row.missing.begin(), row.missing.end(), number) != row.missing.end();
}

static const char *name_of(const Row &row, uint32_t code) {
  for (const auto &name : row.names) {
    if (name.code == code)
      return name.text;
  }
  return nullptr;
}

static double scaled(const Row &row, double number, double scale, int decimals) {
  const double value = scale == 0.0 ? number : round_to(number * scale, decimals);
  return row.has_range && (value < row.low || value > row.high) ? NAN : value;
}

static Value number_value(double number) {
  return std::isnan(number) ? Value{} : Value{.kind = Value::Kind::NUMBER, .number = number};
}

static Value text_value(std::string text) { return Value{.kind = Value::Kind::TEXT, .text = std::move(text)}; }

static Value decode_number(const Row &row, Bytes raw, std::string_view model) {
  const uint32_t word = unsigned_of(raw);
  if (is_missing(row, word))
    return {};
  const uint32_t part = word >> row.shift & row.mask;
  if (row.naming == Naming::CODES) {
    const char *name = name_of(row, part);
    return Value{.kind = Value::Kind::CODE, .raw = part, .text = name == nullptr ? "" : name};
  }
  double number = part;
  if (row.type == Type::INT) {
    number = signed_of(raw);
  } else if (row.type == Type::SIGN_MAGNITUDE && (part & 0x80) != 0) {
    number = -static_cast<double>(part & 0x7F);
  }
  if (is_among(model, row.inverted_on))
    number = 0.0 - number;
  return number_value(scaled(row, number, row.scale, row.decimals));
}

static Value decode_array(const Row &row, Bytes raw, const Readings &readings) {
  size_t count = row.words;
  if (row.count_from != NO_ROW) {
    const Value *counted = find(readings, row.count_from);
    if (counted == nullptr || counted->kind != Value::Kind::NUMBER)
      return {};
    count = static_cast<size_t>(counted->number);
  }
  Value value{.kind = Value::Kind::ARRAY};
  double scale = row.scale;
  int decimals = row.decimals;
  bool all_missing = count != 0;
  for (size_t place = 0; place < std::min<size_t>(count, row.words); place++) {
    const Bytes word = raw.subspan(2 * place, 2);
    const int32_t number = row.type == Type::INT_ARRAY ? signed_of(word) : static_cast<int32_t>(unsigned_of(word));
    if (row.millivolts_from != 0 && number >= static_cast<int32_t>(row.millivolts_from)) {
      scale = MILLI;
      decimals = MILLI_DECIMALS;
    }
    const bool missing = is_missing(row, static_cast<uint32_t>(number));
    all_missing = all_missing && missing;
    value.items.push_back(missing ? NAN : number);
  }
  if (all_missing)
    return {};
  for (double &item : value.items)
    item = std::isnan(item) ? NAN : scaled(row, item, scale, decimals);
  return value;
}

static Value decode_flags(const Row &row, Bytes raw) {
  const uint32_t number = unsigned_of(raw);
  if (is_missing(row, number))
    return {};
  if (row.type == Type::ALARMS && row.naming == Naming::NONE)
    return Value{.kind = Value::Kind::CODE, .raw = number, .text = number == 0 ? "normal" : ""};
  return Value{.kind = Value::Kind::FLAGS, .raw = number};
}

/// Return printable ASCII without its padding; nothing for anything else.
static Value decode_text(Bytes raw) {
  const auto is_padding = [](uint8_t byte) { return byte == 0 || byte == ' ' || byte == 0xFF; };
  while (!raw.empty() && is_padding(raw.front()))
    raw = raw.subspan(1);
  while (!raw.empty() && is_padding(raw.back()))
    raw = raw.first(raw.size() - 1);
  if (std::any_of(raw.begin(), raw.end(), [](uint8_t byte) { return byte < 0x20 || byte > 0x7E; }))
    return {};
  return text_value(std::string(raw.begin(), raw.end()));
}

static Value decode_value(const Row &row, Bytes raw, const Readings &readings, std::string_view model) {
  switch (row.type) {
    case Type::TEXT:
      return decode_text(raw);
    case Type::VERSION:
    case Type::HEX: {
      if (is_missing(row, unsigned_of(raw)))
        return {};
      std::string text;
      char part[5];
      for (size_t place = row.type == Type::VERSION ? 1 : 0; place < raw.size(); place++) {
        const char *before = row.type == Type::HEX ? "" : text.empty() ? "V" : ".";
        snprintf(part, sizeof(part), row.type == Type::HEX ? "%s%02X" : "%s%02d", before, unsigned{raw[place]});
        text += part;
      }
      return text_value(text);
    }
    case Type::UINT_ARRAY:
    case Type::INT_ARRAY:
      return decode_array(row, raw, readings);
    case Type::FLAGS:
    case Type::ALARMS:
      return decode_flags(row, raw);
    default:
      return decode_number(row, raw, model);
  }
}

const Value *find(const Readings &readings, int16_t row) {
  for (const auto &reading : readings) {
    if (reading.row == row)
      return &reading.value;
  }
  return nullptr;
}

Readings decode_block(std::span<const Row> rows, uint16_t first, Bytes data, std::string_view model) {
  Readings readings;
  const Block block{.first = first, .words = static_cast<uint8_t>(data.size() / 2)};
  for (size_t place = 0; place < rows.size(); place++) {
    const Row &row = rows[place];
    if (block.holds(row)) {
      const Bytes raw = data.subspan(2 * (row.first - first), 2 * row.words);
      readings.push_back({static_cast<int16_t>(place), decode_value(row, raw, readings, model)});
    }
  }
  for (auto &reading : readings) {
    const Row &row = rows[reading.row];
    const Value *of = row.limit_from == NO_ROW ? nullptr : find(readings, row.limit_from);
    if (of != nullptr && std::abs(reading.value.number) > row.limit * of->number)
      reading.value = {};
  }
  return readings;
}

bool is_plausible(const Block &block, Bytes data, const Readings &readings) {
  bool is_one_word = true;
  for (size_t place = 2; place < data.size(); place++)
    is_one_word = is_one_word && data[place] == data[place - 2];
  const uint32_t word = unsigned_of(data.first(2));
  if (is_one_word && (word == 0xFFFF || (data.size() >= LONG_BYTES && word != 0)))
    return false;
  return std::all_of(block.plausible.begin(), block.plausible.end(), [&](const Limits &limits) {
    const Value *value = find(readings, limits.row);
    return value != nullptr && value->number >= limits.low && value->number <= limits.high;
  });
}

static std::string joined(const std::vector<std::string> &parts, const std::string &otherwise) {
  std::string text;
  for (const auto &part : parts)
    text += (text.empty() ? "" : ", ") + part;
  return text.empty() ? otherwise : text;
}

static std::string number_text(const char *format, uint32_t number) {
  char text[32];
  snprintf(text, sizeof(text), format, static_cast<unsigned>(number));
  return text;
}

static std::string flags_text(const Row &row, uint32_t raw) {
  std::vector<std::string> set;
  for (const auto &name : row.names) {
    const uint32_t state = raw >> name.code & (row.naming == Naming::PAIRS ? 3 : 1);
    const std::string text = std::string(name.text) + (row.naming == Naming::PAIRS ? PAIR_STATES[state] : "");
    if (state != 0 && std::find(set.begin(), set.end(), text) == set.end())
      set.push_back(text);
  }
  return joined(set, raw == 0 ? "none" : number_text("unknown (0x%X)", raw));
}

std::optional<std::string> text_of(const Row &row, const Value &value) {
  switch (value.kind) {
    case Value::Kind::TEXT:
      return value.text.empty() ? std::optional<std::string>() : value.text;
    case Value::Kind::CODE:
      if (!value.text.empty())
        return value.text;
      return number_text(row.type == Type::ALARMS ? "alarm 0x%X" : "unknown (%u)", value.raw);
    case Value::Kind::FLAGS:
      return flags_text(row, value.raw);
    case Value::Kind::ARRAY: {
      std::vector<std::string> codes;
      for (double item : value.items) {
        if (std::isnan(item) || item == 0)
          continue;
        const auto code = static_cast<uint32_t>(item);
        const char *name = name_of(row, code);
        codes.push_back(name == nullptr ? number_text("code %u", code) : name);
      }
      return joined(codes, "none");
    }
    default:
      return {};
  }
}

bool is_problem(const Row &row, const Value &value) {
  switch (value.kind) {
    case Value::Kind::FLAGS:
      return (value.raw & row.problem_bits) != 0;
    case Value::Kind::CODE:
      return value.raw != 0;
    case Value::Kind::ARRAY:
      return std::any_of(value.items.begin(), value.items.end(),
                         [](double item) { return !std::isnan(item) && item != 0; });
    default:
      return false;
  }
}

}  // namespace esphome::renogy
