#pragma once
// What a unit reads now, and how well its link does.
#include <bitset>
#include <string>
#include <vector>
#include "decode.h"

namespace esphome::renogy {

static constexpr Millis FRESH_FLOOR = 6000;     // a lost reply, the silence after it and a retry must fit
static constexpr Millis SLOW_FRESH = 900'000;   // three slow periods
static constexpr size_t QUALITY_REQUESTS = 100;  // the last requests that the link quality is a share of

/// What an entity shows: a row, one item of an array, or what follows from two rows or from all.
struct Source {
  enum class Kind : uint8_t { ROW, PRODUCT, SHARE, PROBLEM };

  Kind kind{Kind::ROW};
  int16_t row{NO_ROW};
  int16_t other{NO_ROW};
  int16_t item{-1};  // -1: all of the row
};

class Unit {
 public:
  explicit Unit(const Map &map) : map_(map), rows_(map.rows.size()) {}

  /// Take what the device proved to be; what was read of another is forgotten.
  void identified(const std::string &model);
  /// Take a block's readings, current for as long as a block of that schedule is.
  void update(Readings readings, Schedule schedule, Millis now);
  /// Stop showing what is stale.
  void expire(Millis now);
  /// Note which rows this unit has, once all that is due was read.
  void settle();
  void linked(const std::string &status);
  void requested(bool answered);

  double number(const Source &source) const;                     // NAN: missing
  std::optional<bool> is_on(const Source &source) const;
  std::optional<std::string> text(const Source &source) const;

  /// Whether what a source shows may have changed since `shown`.
  bool has_changed(const Source &source) const;
  void shown();

  bool has(const Row &row) const { return this->rows_[&row - this->map_.rows.data()].is_known; }
  const std::string &model() const { return this->model_; }
  bool is_identified() const { return this->is_identified_; }
  bool connected() const { return this->connected_; }
  const std::string &status() const { return this->status_; }
  uint32_t failed_requests() const { return this->failed_requests_; }
  double link_quality() const;  // percent; NAN before the first request
  uint32_t live_readings() const { return this->live_readings_; }

  Millis fresh(Schedule schedule) const;

 protected:
  struct State {
    Value value;
    Millis expires{NEVER};
    double most{NAN};  // the last credible total
    Millis most_at{0};
    bool is_known{false};
    bool has_changed{true};
  };

  bool is_glitch_(const Row &row, State &state, const Value &value, Millis now);
  bool is_live_(const Row &row) const;
  bool is_unsure_(const Row &row) const;
  std::optional<bool> has_problem_() const;

  const Map &map_;
  std::vector<State> rows_;
  std::string model_;
  std::string status_{"starting"};
  bool is_identified_{false};
  bool connected_{false};
  Millis live_until_{0};
  uint32_t live_readings_{0};
  uint32_t failed_requests_{0};
  uint32_t requests_{0};
  std::bitset<QUALITY_REQUESTS> answered_;
};

/// Whether a device of this model answers a block.
bool answers(const Block &block, std::string_view model);

}  // namespace esphome::renogy
