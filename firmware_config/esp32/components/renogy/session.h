#pragma once
// One link's life: find out what answers, read its blocks on schedule, notice when nothing does. No I/O, no clock.
#include <string>
#include <vector>
#include "frame.h"
#include "plan.h"
#include "unit.h"

namespace esphome::renogy {

class Session {
 public:
  Session(const Map &map, Unit &unit) : map_(map), unit_(unit) {}

  /// The link is up.
  void begin(Millis now);
  /// The link is down; `status` says why.
  void end(const std::string &status);
  /// The link is of no use; `status` says why.
  void fail(const std::string &status);
  /// Return the request to send now, if it is time for one.
  std::optional<Request> step(Millis now);
  void receive(const uint8_t *data, size_t length, Millis now);
  /// Set a register, and read back what holds it; false, and nothing is done, unless the model proves the family.
  bool write(uint16_t first, uint16_t value);
  /// Read everything again.
  void refresh(Millis now) { this->start_plan_(now); }

  bool is_active() const { return this->phase_ == Phase::IDENTIFYING || this->phase_ == Phase::READING; }
  /// Whether the link has failed: it is to be made anew, or `begin` called after a while.
  bool failed() const { return this->phase_ == Phase::FAILED; }
  uint32_t failures() const { return this->failures_; }  // in a row, without a reading

 protected:
  enum class Phase : uint8_t { DOWN, IDENTIFYING, READING, FAILED };

  struct Exchange {
    Request request;
    bool is_ambiguous;  // another's late refusal can't be told from this one's
    Millis sent;
    Millis drain_since{NEVER};
  };

  struct Unanswered {
    Request request;
    Millis until;
  };

  struct Probe {
    uint8_t address;
    const Block *block;  // nullptr: the model
  };

  Request request_(const Block &block) const { return {this->address_, block.first, block.words}; }
  Request send_(const Request &request, Millis now);
  bool drained_(Millis now) const;
  Millis held_until_(const Request &request, Millis now);
  void done_(const std::optional<Reply> &reply, Millis now);

  void plan_probes_();
  Request probe_request_() const;
  void probed_(const std::optional<Reply> &reply, Millis now);
  bool identified_(const Reply &reply);
  void start_plan_(Millis now);

  Plan::Turn next_(Millis now);
  void read_(const std::optional<Reply> &reply, Millis now);
  void answered_(const Reply &reply, Millis now);
  void silent_(Millis now);
  void written_(uint16_t first, Millis now);

  const Map &map_;
  Unit &unit_;
  Phase phase_{Phase::DOWN};
  ReplyParser parser_;
  std::optional<Exchange> exchange_;
  std::vector<Unanswered> unanswered_;
  Millis next_request_{0};
  Millis last_received_{0};
  bool heard_{false};  // anything, since the request was sent

  std::vector<Probe> probes_;
  size_t probe_{0};
  bool any_answer_{false};
  std::optional<uint8_t> known_address_;
  int strange_{0};  // failed identifications

  Plan plan_;
  uint8_t address_{UNIVERSAL_ADDRESS};
  const Block *main_{nullptr};  // which tells whether the device is in its senses
  const Block *reading_{nullptr};
  std::optional<Request> write_;  // that is to be sent
  std::optional<bool> is_sane_;  // as far as is known
  int silences_{0};              // requests in a row that were not answered
  int unheard_{0};               // after which nothing came at all
  uint32_t failures_{0};
};

}  // namespace esphome::renogy
