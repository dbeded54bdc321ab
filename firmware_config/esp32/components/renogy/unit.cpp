#include "unit.h"

#include <algorithm>

namespace esphome::renogy {

static constexpr Millis TYPICAL_REPLY = 350;  // the longest of the captures; only decides how long a value is current
static constexpr int FRESH_PERIODS = 3;       // a value older than three poll periods is not shown
static constexpr double NEW_DAY_SHARE = 0.1;  // of the day's total: what is less belongs to a new day
static constexpr Millis TOTAL_GAP = 600'000;  // for longer without a credible total, the new one is believed
static constexpr int PRODUCT_DECIMALS = 1;    // the volts come in tenths: more digits would be made up
static constexpr int SHARE_DECIMALS = 1;
static constexpr double BANK_V = 12.0;  // what thresholds are meant for
static constexpr double BANKS_V[] = {12.0, 24.0, 36.0, 48.0};
static const char *const UNREADABLE = "answers, but with no readings that can be shown";

bool answers(const Block &block, std::string_view model) {
  return (block.only_on.empty() || is_among(model, block.only_on)) && !is_among(model, block.not_on);
}

void Unit::identified(const std::string &model) {
  if (this->is_identified_ && this->model_ == model)
    return;
  this->model_ = model;
  this->is_identified_ = true;
  std::fill(this->rows_.begin(), this->rows_.end(), State{});
}

Millis Unit::fresh(Schedule schedule) const {
  if (schedule == Schedule::STARTUP)
    return NEVER;
  if (schedule == Schedule::SLOW)
    return SLOW_FRESH;
  Millis cycle = 0;  // what one pass over the live blocks takes
  for (const auto &block : this->map_.blocks) {
    if (block.schedule == Schedule::POLL && block.only_on.empty())
      cycle += this->map_.gap + TYPICAL_REPLY;
  }
  return std::max(FRESH_PERIODS * std::max(this->map_.interval, cycle), FRESH_FLOOR);
}

void Unit::update(Readings readings, Schedule schedule, Millis now) {
  bool is_live = false;
  for (auto &reading : readings) {
    const Row &row = this->map_.rows[reading.row];
    State &state = this->rows_[reading.row];
    // a block that is read seldom may hold what another reads often: it is as soon out of date from either
    const Millis fresh = this->fresh(this->is_live_(row) ? Schedule::POLL : schedule);
    const bool is_believed = !this->is_unsure_(row) && !this->is_glitch_(row, state, reading.value, now);
    state.value = is_believed ? std::move(reading.value) : Value{};
    state.expires = fresh == NEVER ? NEVER : now + fresh;
    state.has_changed = true;
    if (fresh < SLOW_FRESH) {
      is_live = true;
      this->live_until_ = now + fresh;
    }
  }
  if (is_live) {
    this->connected_ = true;
    this->status_ = "connected";
    this->live_readings_++;
  }
}

void Unit::expire(Millis now) {
  for (auto &state : this->rows_) {
    if (state.value && now >= state.expires) {
      state.value = {};
      state.has_changed = true;
    }
  }
  if (this->connected_ && now >= this->live_until_)
    this->linked(UNREADABLE);
}

void Unit::settle() {
  for (size_t place = 0; place < this->rows_.size(); place++)
    this->rows_[place].is_known |= static_cast<bool>(this->rows_[place].value);
  if (!this->connected_)
    this->status_ = UNREADABLE;
}

void Unit::linked(const std::string &status) {
  this->connected_ = false;
  this->status_ = status;
}

void Unit::requested(bool answered) {
  this->answered_[this->requests_++ % QUALITY_REQUESTS] = answered;
  if (!answered)
    this->failed_requests_++;
}

double Unit::link_quality() const {
  const size_t requests = std::min<size_t>(this->requests_, QUALITY_REQUESTS);
  return requests == 0 ? NAN : round_to(100.0 * this->answered_.count() / requests, 0);
}

double Unit::number(const Source &source) const {
  const Value &value = this->rows_[source.row].value;
  const double number = value.number;
  switch (source.kind) {
    case Source::Kind::PRODUCT:
      return round_to(number * this->rows_[source.other].value.number, PRODUCT_DECIMALS);
    case Source::Kind::SHARE: {
      const double whole = this->rows_[source.other].value.number;
      return whole > 0 ? round_to(std::min(100.0 * number / whole, 100.0), SHARE_DECIMALS) : NAN;
    }
    default:
      break;
  }
  if (source.item >= 0)
    return static_cast<size_t>(source.item) < value.items.size() ? value.items[source.item] : NAN;
  const Row &row = this->map_.rows[source.row];
  if (row.bank_from == NO_ROW)
    return number;
  // a threshold for each 12 V: unknown while it is not known how many those are
  const double volts = this->rows_[row.bank_from].value.number;
  if (std::find(std::begin(BANKS_V), std::end(BANKS_V), volts) == std::end(BANKS_V))
    return NAN;
  return round_to(number * volts / BANK_V, row.decimals);
}

std::optional<bool> Unit::is_on(const Source &source) const {
  if (source.kind == Source::Kind::PROBLEM)
    return this->has_problem_();
  const Value &value = this->rows_[source.row].value;
  if (value.kind != Value::Kind::CODE || value.text.empty())
    return {};
  return value.raw != 0;
}

std::optional<std::string> Unit::text(const Source &source) const {
  return text_of(this->map_.rows[source.row], this->rows_[source.row].value);
}

/// Whether the device has a problem: no problem is no news while a row that it is known to have is missing.
std::optional<bool> Unit::has_problem_() const {
  bool could_tell = false;
  bool is_missing = false;
  for (size_t place = 0; place < this->rows_.size(); place++) {
    const Row &row = this->map_.rows[place];
    const State &state = this->rows_[place];
    if (!row.is_problem)
      continue;
    if (is_problem(row, state.value))
      return true;
    could_tell = could_tell || state.value;
    is_missing = is_missing || (!state.value && state.is_known);
  }
  return could_tell && !is_missing ? std::optional<bool>(false) : std::nullopt;
}

bool Unit::has_changed(const Source &source) const {
  if (source.kind == Source::Kind::PROBLEM)
    return std::any_of(this->rows_.begin(), this->rows_.end(), [](const State &state) { return state.has_changed; });
  const int16_t bank = this->map_.rows[source.row].bank_from;
  return this->rows_[source.row].has_changed || (source.other != NO_ROW && this->rows_[source.other].has_changed) ||
         (bank != NO_ROW && this->rows_[bank].has_changed);
}

void Unit::shown() {
  for (auto &state : this->rows_)
    state.has_changed = false;
}

/// Whether a total falls: a lifetime's, or a day's without a new day, as some chargers' at a change of source.
bool Unit::is_glitch_(const Row &row, State &state, const Value &value, Millis now) {
  if (row.total == Total::NONE || value.kind != Value::Kind::NUMBER)
    return false;
  const double number = value.number;
  const bool is_new_day = row.total == Total::DAILY && number <= NEW_DAY_SHARE * state.most;
  if (number < state.most && !is_new_day && now - state.most_at < TOTAL_GAP)
    return true;
  state.most = number;
  state.most_at = now;
  return false;
}

bool Unit::is_live_(const Row &row) const {
  return std::any_of(this->map_.blocks.begin(), this->map_.blocks.end(), [&](const Block &block) {
    return block.schedule == Schedule::POLL && answers(block, this->model_) && block.holds(row);
  });
}

/// Whether a value can't be told: without the model, a sign is anybody's guess.
bool Unit::is_unsure_(const Row &row) const {
  if (this->model_.empty() && !(row.inverted_on.empty() && row.doubtful_on.empty()))
    return true;
  return row.is_unsure || is_among(this->model_, row.doubtful_on);
}

}  // namespace esphome::renogy
