#pragma once
// Which block to read next; the clock is an argument.
#include <algorithm>
#include <functional>
#include <vector>
#include "registers.h"

namespace esphome::renogy {

static constexpr Millis SLOW_PERIOD = 300'000;  // settings and totals: they change a few times a day
static constexpr Millis LEFT_OUT = 3'600'000;   // a block that the device refused; a firmware update may bring it
static constexpr int RETRIES = 2;   // of what was answered before: a reply that got lost need not cost a reading
static constexpr int FAILURES = 3;  // refusals or silences in a row before a block is left out

/// The schedule of one device's blocks over one connection.
class Plan {
 public:
  struct Turn {
    const Block *block;
    Millis due;
  };

  /// Read `blocks` from `now` on; the silence of those `answered` before is a reply that got lost.
  void start(const std::vector<const Block *> &blocks, const std::vector<const Block *> &answered, Millis interval,
             Millis now);

  /// Whether each block was tried since the start of the connection.
  bool complete() const;
  /// Return the block whose turn it is, and when that is: not before a time of its own.
  Turn next(const std::function<Millis(const Block &)> &not_before = nullptr) const;
  /// Whether silence would say something of the link: the block was answered before, or nothing was yet.
  bool expects(const Block &block) const;

  /// Make a block due.
  void hasten(const Block &block, Millis now);
  void answered(const Block &block, Millis now);
  void refused(const Block &block, uint8_t code, Millis now);
  void silent(const Block &block, Millis now);

 protected:
  struct Entry {
    const Block *block;
    Millis period;  // NEVER: once
    Millis due;
    Millis not_before{0};  // though it is due
    int failures{0};
    bool tried{false};
    bool answered{false};
    uint32_t heard_at_first_failure{0};

    Millis next_due(Millis now) const { return std::max(this->due + this->period, now); }
  };

  Entry &entry_(const Block &block);
  Entry &tried_(const Block &block);
  void postpone_(Entry &entry, Millis now);

  std::vector<Entry> entries_;
  uint32_t heard_{0};
};

}  // namespace esphome::renogy
