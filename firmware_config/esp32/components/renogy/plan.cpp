#include "plan.h"

namespace esphome::renogy {

static constexpr Millis ONCE_AGAIN = 1000;      // what is read once is repeated, but not at the expense of live blocks
static constexpr uint8_t LAST_UNSUPPORTED = 3;  // exception codes 1 to 3: no such function, address, count

void Plan::start(const std::vector<const Block *> &blocks, const std::vector<const Block *> &answered, Millis interval,
                 Millis now) {
  this->entries_.clear();
  this->heard_ = 0;
  for (Schedule schedule : {Schedule::POLL, Schedule::SLOW, Schedule::STARTUP}) {  // of two due, live ones first
    for (const Block *block : blocks) {
      if (block->schedule != schedule)
        continue;
      const Millis period = schedule == Schedule::POLL ? interval : schedule == Schedule::SLOW ? SLOW_PERIOD : NEVER;
      const bool is_known = std::find(answered.begin(), answered.end(), block) != answered.end();
      this->entries_.push_back({.block = block, .period = period, .due = now, .answered = is_known});
    }
  }
}

bool Plan::complete() const {
  return std::all_of(this->entries_.begin(), this->entries_.end(), [](const Entry &entry) { return entry.tried; });
}

Plan::Turn Plan::next(const std::function<Millis(const Block &)> &not_before) const {
  Turn first{nullptr, NEVER};
  for (const auto &entry : this->entries_) {
    Millis due = std::max(entry.due, entry.not_before);
    if (not_before)
      due = std::max(due, not_before(*entry.block));
    if (first.block == nullptr || due < first.due)
      first = {entry.block, due};
  }
  return first;
}

bool Plan::expects(const Block &block) const {
  return this->heard_ == 0 || std::any_of(this->entries_.begin(), this->entries_.end(), [&](const Entry &entry) {
           return entry.block == &block && entry.answered;
         });
}

void Plan::hasten(const Block &block, Millis now) {
  Entry &entry = this->entry_(block);
  entry.due = std::min(entry.due, now);
}

void Plan::answered(const Block &block, Millis now) {
  Entry &entry = this->tried_(block);
  this->heard_++;
  entry.answered = true;
  entry.failures = 0;
  entry.due = entry.period == NEVER ? NEVER : entry.next_due(now);  // missed readings are not made up for
}

void Plan::refused(const Block &block, uint8_t code, Millis now) {
  Entry &entry = this->tried_(block);
  this->heard_++;
  const bool unsupported = code >= 1 && code <= LAST_UNSUPPORTED;
  entry.failures = unsupported && !entry.answered ? FAILURES : entry.failures + 1;
  this->postpone_(entry, now);
}

/// Silence counts against a block only while others are answered: otherwise it is the link's.
void Plan::silent(const Block &block, Millis now) {
  Entry &entry = this->tried_(block);
  if (entry.failures == 0)
    entry.heard_at_first_failure = this->heard_;
  entry.failures = std::min(entry.failures + 1, FAILURES);
  if (this->heard_ == entry.heard_at_first_failure)
    entry.failures = std::min(entry.failures, FAILURES - 1);
  if (!entry.answered || entry.period == NEVER || entry.failures > RETRIES) {
    this->postpone_(entry, now);
    return;
  }
  // it is read again once the live blocks have had their turn, before all others
  for (auto &other : this->entries_) {
    if (&other == &entry || other.block->schedule != Schedule::POLL)
      other.not_before = now;
  }
}

void Plan::postpone_(Entry &entry, Millis now) {
  if (entry.failures >= FAILURES && (entry.period == NEVER || !entry.answered)) {
    entry.due = now + LEFT_OUT;
  } else {
    entry.due = entry.period == NEVER ? now + ONCE_AGAIN : entry.next_due(now);
  }
}

Plan::Entry &Plan::entry_(const Block &block) {
  return *std::find_if(this->entries_.begin(), this->entries_.end(),
                       [&](const Entry &candidate) { return candidate.block == &block; });
}

Plan::Entry &Plan::tried_(const Block &block) {
  Entry &entry = this->entry_(block);
  entry.tried = true;
  return entry;
}

}  // namespace esphome::renogy
