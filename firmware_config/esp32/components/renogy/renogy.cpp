#include "renogy.h"

#include "esphome/core/controller_registry.h"
#include "esphome/core/hal.h"
#include "esphome/core/log.h"

#include <cstdlib>

namespace esphome::renogy {

static const char *const TAG = "renogy";
static constexpr Millis RELEASE = 1'800'000;  // the phone app has had its time; a forgotten release must not last
static constexpr Millis REFRESH_EVERY = 60'000;  // one takes an inverter 4 s, in which live values are not read
static constexpr Millis FIND = 20'000;  // a unit advertises at least once a second
static constexpr Millis READY = 30'000;  // finding its services, subscribing and waking take seconds, if it does them
static constexpr Millis FIRST_RETRY = 2000;
static constexpr uint32_t MAX_DOUBLINGS = 5;  // a minute at most
static const char *const ENDED = "the device ended the connection";
static const char *const NOT_HEARD =
    "not heard: out of range, switched off, or held by another central such as the phone app";
static const char *const NOT_READY =
    "connected, but not ready: no Renogy device, or its Bluetooth module hangs; the link is made anew";
#if defined(USE_TEXT_SENSOR) && defined(USE_TIME)
static constexpr time_t LAST_READING_STEP_S = 60;  // every change is a row in Home Assistant's database
#endif

#ifdef USE_SENSOR
static void show(sensor::Sensor *entity, double number) {
  if (!std::isnan(number)) {
    if (!entity->has_state() || entity->state != static_cast<float>(number))
      entity->publish_state(static_cast<float>(number));
  } else if (entity->has_state()) {
    entity->publish_state(NAN);
    entity->set_has_state(false);  // it is missing, which a client is told when the state is sent
  }
}
#endif

#ifdef USE_BINARY_SENSOR
static void show(binary_sensor::BinarySensor *entity, std::optional<bool> state) {
  if (state) {
    entity->publish_state(*state);
  } else {
    entity->invalidate_state();
  }
}
#endif

#ifdef USE_SWITCH
void RegisterSwitch::show(std::optional<bool> state) {
  if (state) {
    this->publish_state(*state);
  } else if (this->has_state()) {
    this->publish_dedup_ = {};  // or the same state would not be published again
    this->set_has_state(false);
#ifdef USE_CONTROLLER_REGISTRY
    ControllerRegistry::notify_switch_update(this);
#endif
  }
}
#endif

#ifdef USE_TEXT_SENSOR
static void show(text_sensor::TextSensor *entity, const std::optional<std::string> &state) {
  if (state) {
    if (!entity->has_state() || entity->state != *state)
      entity->publish_state(*state);
  } else if (entity->has_state()) {
    entity->set_has_state(false);
#ifdef USE_CONTROLLER_REGISTRY
    ControllerRegistry::notify_text_sensor_update(entity);
#endif
  }
}
#endif

void Renogy::setup() {
  this->connect_by_ = static_cast<Millis>(millis_64()) + FIND;
#ifdef USE_SWITCH
  if (this->release_ != nullptr)
    this->release_->publish_state(false);
#endif
}

void Renogy::dump_config() {
  ESP_LOGCONFIG(TAG,
                "Renogy %s:\n"
                "  Model: %s\n"
                "  Update Interval: %.1fs",
                this->map_.family, this->unit_.model().c_str(), this->map_.interval / 1000.0);
}

void Renogy::loop() {
  const Millis now = millis_64();
  this->keep_link_(now);
  this->exchange_(now);
  this->unit_.expire(now);
  this->publish_readings_();
  this->publish_link_();
#if defined(USE_TEXT_SENSOR) && defined(USE_TIME)
  this->publish_last_reading_();
#endif
}

/// Follow the link up and down; have it made anew when nothing answers over it.
void Renogy::keep_link_(Millis now) {
  if (this->released_until_ != 0) {
    if (now >= this->released_until_)
      this->release(false);
    return;
  }
  const bool is_up = this->parent_->is_connected();
  const bool is_linked = !is_up && this->has_link_ != nullptr && this->has_link_();
  if (is_up != this->is_up_ || is_linked != this->is_linked_) {
    if (this->is_up_ && !is_up)
      this->session_.end(this->session_.failed() ? this->unit_.status() : ENDED);
    this->is_up_ = is_up;
    this->is_linked_ = is_linked;
    this->connect_by_ = is_up ? NEVER : now + (is_linked ? READY : FIND);
  }
  if (now >= this->connect_by_) {
    this->connect_by_ = now + FIND;
    if (is_linked) {
      this->session_.fail(NOT_READY);
      this->was_failed_ = false;  // each time is one more
    } else {
      this->session_.end(NOT_HEARD);
    }
  }
  const bool failed = this->session_.failed();
  if (failed && !this->was_failed_) {
    ESP_LOGW(TAG, "%s: %s", this->map_.family, this->unit_.status().c_str());
    const Millis pause = FIRST_RETRY << std::min<uint32_t>(this->session_.failures() - 1, MAX_DOUBLINGS);
    this->begin_from_ = now + pause;
    if (is_linked)
      this->connect_by_ = now + READY + pause;  // should it be that nothing ends the link
    this->on_lost_.call();
  }
  this->was_failed_ = failed;
  if (is_up && !this->session_.is_active() && now >= this->begin_from_)
    this->session_.begin(now);
}

void Renogy::exchange_(Millis now) {
  uint8_t bytes[64];
  while (const size_t available = std::min<size_t>(this->available(), sizeof(bytes))) {
    if (!this->read_array(bytes, available))
      break;
    this->session_.receive(bytes, available, now);
  }
  if (!this->is_up_ || this->released_until_ != 0)
    return;
  if (const auto request = this->session_.step(now))
    this->write_array(request->encode());
}

void Renogy::release(bool released) {
  if (released) {
    this->session_.end("released: the phone app may connect now");
    this->released_until_ = static_cast<Millis>(millis_64()) + RELEASE;
  } else if (this->released_until_ != 0) {
    this->released_until_ = 0;
    this->is_up_ = false;  // what is connected begins anew
    this->connect_by_ = static_cast<Millis>(millis_64()) + FIND;
    this->session_.end("taken back");
  }
#ifdef USE_SWITCH
  if (this->release_ != nullptr)
    this->release_->publish_state(released);
#endif
}

void Renogy::refresh() {
  const Millis now = millis_64();
  if (now < this->refresh_from_)
    return;
  this->refresh_from_ = now + REFRESH_EVERY;
  this->session_.refresh(now);
}

void Renogy::write(uint16_t first, uint16_t value) {
  if (!this->session_.write(first, value))
    ESP_LOGW(TAG, "%s: not switched: %s", this->map_.family, this->unit_.status().c_str());
}

void Renogy::publish_readings_() {
#ifdef USE_SENSOR
  for (auto &shown : this->sensors_) {
    if (this->unit_.has_changed(shown.source))
      show(shown.entity, this->unit_.number(shown.source));
  }
#endif
#ifdef USE_BINARY_SENSOR
  for (auto &shown : this->binary_sensors_) {
    if (this->unit_.has_changed(shown.source))
      show(shown.entity, this->unit_.is_on(shown.source));
  }
#endif
#ifdef USE_SWITCH
  for (auto &shown : this->switches_) {
    if (this->unit_.has_changed(shown.source))
      shown.entity->show(this->unit_.is_on(shown.source));
  }
#endif
#ifdef USE_TEXT_SENSOR
  for (auto &shown : this->text_sensors_) {
    if (this->unit_.has_changed(shown.source))
      show(shown.entity, this->unit_.text(shown.source));
  }
#endif
  this->unit_.shown();
}

void Renogy::publish_link_() {
#ifdef USE_BINARY_SENSOR
  if (this->link_ != nullptr)
    show(this->link_, this->unit_.connected());
#endif
#ifdef USE_TEXT_SENSOR
  if (this->link_status_ != nullptr && this->link_status_->state != this->unit_.status())
    this->link_status_->publish_state(this->unit_.status());
#endif
#ifdef USE_SENSOR
  if (this->link_quality_ != nullptr)
    show(this->link_quality_, this->unit_.link_quality());
  if (this->failed_requests_ != nullptr)
    show(this->failed_requests_, this->unit_.failed_requests());
#endif
}

#if defined(USE_TEXT_SENSOR) && defined(USE_TIME)
/// Show the time of the last reading: to the minute while readings come, exact once they don't.
void Renogy::publish_last_reading_() {
  if (this->last_reading_ == nullptr)
    return;
  if (this->unit_.live_readings() != this->shown_readings_) {
    const auto now = this->clock_->utcnow();
    if (!now.is_valid())
      return;
    this->shown_readings_ = this->unit_.live_readings();
    this->reading_ = now.timestamp;
  }
  if (this->reading_ == this->shown_reading_)
    return;
  const time_t step = std::abs(this->reading_ - this->shown_reading_);  // clocks are set back
  if (this->unit_.connected() && step < LAST_READING_STEP_S)
    return;
  this->shown_reading_ = this->reading_;
  auto time = ESPTime::from_epoch_utc(this->reading_);
  this->last_reading_->publish_state(time.strftime("%Y-%m-%dT%H:%M:%S+00:00"));
}
#endif

}  // namespace esphome::renogy
