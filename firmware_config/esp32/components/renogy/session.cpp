#include "session.h"

#include <algorithm>

namespace esphome::renogy {

static constexpr Millis QUIET = 1000;  // silence after a timeout, before the next request: a reply names no register
static constexpr Millis LONGEST_DRAIN = 3 * QUIET;
static constexpr Millis LATE = 6000;  // after the supervision timeout of 5 s, a held-up reply is here, or the link lost
static constexpr Millis HELD = 5000;  // overdue for longer, a block goes first; its values are out of date soon after
static constexpr int MAX_SILENCES = 4;     // more in a row, and the link is no link
static constexpr int MAX_GARBLED = 9;      // the same where something came: a weak signal loses parts
static constexpr int MAX_STRANGE = 3;      // failed identifications, and the known address is no longer believed
static constexpr int KNOWN_ATTEMPTS = 3;   // a reply may get lost, and at a weak signal two
static constexpr size_t USUAL_ADDRESSES = 2;  // the universal one and the family's own

/// Whether a late reply to `other` names nothing that tells it from one to `mine`.
static bool is_confusable(const Request &other, const Request &mine) {
  if (other == mine || other.value.has_value() != mine.value.has_value())
    return false;
  return other.address == mine.address || other.address == UNIVERSAL_ADDRESS || mine.address == UNIVERSAL_ADDRESS;
}

void Session::begin(Millis now) {
  this->phase_ = Phase::IDENTIFYING;
  this->exchange_.reset();
  this->write_.reset();
  this->unanswered_.clear();
  this->next_request_ = now;
  this->silences_ = this->unheard_ = 0;
  this->plan_probes_();
  this->unit_.linked("linked, finding out what it is");
}

void Session::end(const std::string &status) {
  this->phase_ = Phase::DOWN;
  this->exchange_.reset();
  this->parser_.cancel();
  this->unit_.linked(status);
}

void Session::fail(const std::string &status) {
  this->end(status);
  this->phase_ = Phase::FAILED;
  this->failures_++;
}

std::optional<Request> Session::step(Millis now) {
  if (this->phase_ == Phase::DOWN || this->phase_ == Phase::FAILED)
    return {};
  if (this->exchange_) {
    Exchange &exchange = *this->exchange_;
    if (exchange.drain_since == NEVER && now - exchange.sent >= this->map_.timeout) {
      this->parser_.cancel();
      exchange.drain_since = now;
    }
    if (exchange.drain_since == NEVER || !this->drained_(now))
      return {};
    this->unanswered_.push_back({exchange.request, exchange.sent + LATE});
    this->done_({}, now);
    return {};
  }
  if (now < this->next_request_)
    return {};
  if (this->phase_ == Phase::IDENTIFYING) {
    const Request request = this->probe_request_();
    return this->held_until_(request, now) > now ? std::optional<Request>() : this->send_(request, now);
  }
  if (this->write_) {
    const Request request = *this->write_;
    this->write_.reset();  // another may be asked for meanwhile
    return this->send_(request, now);
  }
  const auto turn = this->next_(now);
  if (turn.block == nullptr || turn.due > now)
    return {};
  const Request request = this->request_(*turn.block);
  if (this->held_until_(request, now) > now)
    return {};
  this->reading_ = turn.block;
  return this->send_(request, now);
}

/// Return what to read next, and when. What is held back lets others go first, but not for ever.
Plan::Turn Session::next_(Millis now) {
  const auto turn = this->plan_.next();
  if (turn.due <= now - HELD)
    return turn;
  return this->plan_.next([&](const Block &block) { return this->held_until_(this->request_(block), now); });
}

Request Session::send_(const Request &request, Millis now) {
  const bool is_ambiguous =
      std::any_of(this->unanswered_.begin(), this->unanswered_.end(),
                  [&](const Unanswered &other) { return is_confusable(other.request, request); });
  this->exchange_ = Exchange{request, is_ambiguous, now};
  this->heard_ = false;
  this->parser_.expect(request);
  return request;
}

/// Return until when a late reply to another request would pass for one to `request`.
Millis Session::held_until_(const Request &request, Millis now) {
  std::erase_if(this->unanswered_, [&](const Unanswered &other) { return other.until <= now; });
  Millis until = 0;
  for (const auto &other : this->unanswered_) {
    // the echo of a write names its register
    if (!request.value && is_confusable(other.request, request) && other.request.words == request.words)
      until = std::max(until, other.until);
  }
  return until;
}

bool Session::drained_(Millis now) const {
  const Millis since = this->exchange_->drain_since;
  return now - std::max(this->last_received_, since) >= QUIET || now - since >= LONGEST_DRAIN;
}

void Session::receive(const uint8_t *data, size_t length, Millis now) {
  this->last_received_ = now;
  this->heard_ = true;
  const auto reply = this->parser_.feed(data, length);
  if (!reply || !this->exchange_)
    return;
  Exchange &exchange = *this->exchange_;
  if (reply->exception && exchange.is_ambiguous) {
    this->parser_.expect(exchange.request);
    return;
  }
  // as many replies are still to come as before, if the same was asked before and not answered
  for (auto &other : this->unanswered_) {
    if (other.request == exchange.request) {
      other.until = exchange.sent + LATE;
      break;
    }
  }
  this->done_(reply, now);
}

void Session::done_(const std::optional<Reply> &reply, Millis now) {
  const Request request = this->exchange_->request;
  this->exchange_.reset();
  this->next_request_ = now + this->map_.gap;
  if (this->heard_)
    this->unheard_ = 0;
  if (reply)
    this->silences_ = 0;
  this->unit_.requested(reply.has_value());
  if (this->phase_ == Phase::IDENTIFYING) {
    this->probed_(reply, now);
  } else if (request.value) {
    this->written_(request.first, now);
  } else {
    this->read_(reply, now);
  }
}

/// Ask for the model, which only a device of the right kind answers; then, of one without, for its first live block.
void Session::plan_probes_() {
  this->probes_.clear();
  this->probe_ = 0;
  this->any_answer_ = false;
  const bool has_model = this->map_.model_row != NO_ROW;
  if (has_model && this->known_address_ && this->strange_ < MAX_STRANGE) {
    this->probes_.assign(KNOWN_ATTEMPTS, {*this->known_address_, nullptr});
  } else if (has_model) {
    for (uint8_t address : this->map_.addresses)
      this->probes_.push_back({address, nullptr});
  }
  const auto live = std::find_if(this->map_.blocks.begin(), this->map_.blocks.end(),
                                 [](const Block &block) { return block.schedule == Schedule::POLL; });
  const auto usual = this->map_.addresses.first(std::min(USUAL_ADDRESSES, this->map_.addresses.size()));
  for (uint8_t address : usual) {
    if (live != this->map_.blocks.end())
      this->probes_.push_back({address, &*live});
  }
}

Request Session::probe_request_() const {
  const Probe &probe = this->probes_[this->probe_];
  if (probe.block != nullptr)
    return {probe.address, probe.block->first, probe.block->words};
  const Row &model = this->map_.rows[this->map_.model_row];
  return {probe.address, model.first, model.words};
}

void Session::probed_(const std::optional<Reply> &reply, Millis now) {
  this->any_answer_ = this->any_answer_ || reply;
  if (reply && !reply->exception && this->identified_(*reply)) {
    if (this->phase_ != Phase::IDENTIFYING)
      return;  // it is of another family
    this->known_address_ = reply->address;
    this->address_ = reply->address;
    this->strange_ = 0;
    this->phase_ = Phase::READING;
    this->start_plan_(now);
    return;
  }
  if (++this->probe_ < this->probes_.size())
    return;
  this->strange_++;
  this->fail(this->any_answer_
                 ? std::string("answers, but not as a ") + this->map_.family + ": is its family right?"
                 : "is connected but answers no request: check modbus_address, and the cable of a Bluetooth module");
}

/// Whether a reply shows what the device is.
bool Session::identified_(const Reply &reply) {
  const Request request = this->probe_request_();
  const auto readings = decode_block(this->map_.rows, request.first, reply.data, "");
  const Block *block = this->probes_[this->probe_].block;
  if (block != nullptr) {
    if (!is_plausible(*block, reply.data, readings))
      return false;
    this->unit_.identified("");
    return true;
  }
  const Value *model = find(readings, this->map_.model_row);
  if (model == nullptr || model->text.empty())
    return false;
  for (const auto &kin : this->map_.kin) {
    if (!matches(kin.models, model->text))
      continue;
    if (std::string_view(kin.family) == this->map_.family)
      break;
    this->fail(model->text + " is a " + kin.family + ", but this firmware was made for a " + this->map_.family);
    return true;
  }
  this->unit_.identified(model->text);
  return true;
}

void Session::start_plan_(Millis now) {
  if (this->phase_ != Phase::READING)
    return;
  std::vector<const Block *> blocks, known;
  this->main_ = nullptr;
  for (const auto &block : this->map_.blocks) {
    if (!answers(block, this->unit_.model()))
      continue;
    blocks.push_back(&block);
    if (this->main_ == nullptr && !block.plausible.empty())
      this->main_ = &block;
    const bool is_known = std::any_of(this->map_.rows.begin(), this->map_.rows.end(),
                                      [&](const Row &row) { return block.holds(row) && this->unit_.has(row); });
    if (is_known)
      known.push_back(&block);
  }
  const bool has_read_main = std::find(known.begin(), known.end(), this->main_) != known.end();
  this->is_sane_ = has_read_main ? std::optional<bool>(false) : std::nullopt;
  this->plan_.start(blocks, known, this->map_.interval, now);
}

bool Session::write(uint16_t first, uint16_t value) {
  const auto proven = std::find_if(this->map_.kin.begin(), this->map_.kin.end(),
                                   [&](const Kin &kin) { return matches(kin.models, this->unit_.model()); });
  // another family would not have got as far as this
  if (this->phase_ != Phase::READING || proven == this->map_.kin.end())
    return false;
  this->write_ = Request{this->address_, first, 1, value};
  return true;
}

/// Read back what was written: what is shown is what is read, whatever the answer was.
void Session::written_(uint16_t first, Millis now) {
  for (const auto &block : this->map_.blocks) {
    if (block.first <= first && first < block.first + block.words && answers(block, this->unit_.model()))
      this->plan_.hasten(block, now);
  }
}

void Session::read_(const std::optional<Reply> &reply, Millis now) {
  if (!reply) {
    this->silent_(now);
  } else if (reply->exception) {
    this->plan_.refused(*this->reading_, *reply->exception, now);
  } else {
    this->plan_.answered(*this->reading_, now);
    this->answered_(*reply, now);
  }
  if (this->phase_ == Phase::READING && this->plan_.complete())
    this->unit_.settle();
}

void Session::answered_(const Reply &reply, Millis now) {
  const Block &block = *this->reading_;
  auto readings = decode_block(this->map_.rows, block.first, reply.data, this->unit_.model());
  const bool plausible = is_plausible(block, reply.data, readings);
  if (&block == this->main_ && (plausible || this->is_sane_))
    this->is_sane_ = plausible;
  // a device that starts or resets has nonsense in its other blocks as well, where it may look like readings
  if (!plausible || this->is_sane_ == false)
    return;
  const Value *model = find(readings, this->map_.model_row);
  if (model != nullptr && !model->text.empty() && !this->unit_.model().empty() && model->text != this->unit_.model()) {
    this->fail("another device answers: " + model->text + " instead of " + this->unit_.model());
    return;
  }
  this->failures_ = 0;
  this->unit_.update(std::move(readings), block.schedule, now);
}

void Session::silent_(Millis now) {
  if (this->plan_.expects(*this->reading_)) {
    this->silences_++;
    this->unheard_++;
  }
  this->plan_.silent(*this->reading_, now);
  if (this->unheard_ > MAX_SILENCES || this->silences_ > MAX_GARBLED)
    this->fail("no valid reply to " + std::to_string(this->silences_) + " requests in a row");
}

}  // namespace esphome::renogy
