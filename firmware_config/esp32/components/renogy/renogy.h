#pragma once
// One Renogy unit behind a UART, whatever carries that: renogy_bt, RS-232, RS-485, TCP.
#include "esphome/components/uart/uart.h"
#include "esphome/core/automation.h"
#include "esphome/core/component.h"
#include "esphome/core/defines.h"
#include "session.h"
#ifdef USE_BINARY_SENSOR
#include "esphome/components/binary_sensor/binary_sensor.h"
#endif
#ifdef USE_SENSOR
#include "esphome/components/sensor/sensor.h"
#endif
#ifdef USE_SWITCH
#include "esphome/components/switch/switch.h"
#endif
#ifdef USE_TEXT_SENSOR
#include "esphome/components/text_sensor/text_sensor.h"
#endif
#ifdef USE_TIME
#include "esphome/components/time/real_time_clock.h"
#endif

namespace esphome::renogy {

template<typename T> struct Shown {
  T *entity;
  Source source;
};

#ifdef USE_SWITCH
class RegisterSwitch;
#endif

class Renogy : public Component, public uart::UARTDevice {
 public:
  explicit Renogy(const Map &map) : map_(map), unit_(map), session_(map, unit_) {}

  void setup() override;
  void loop() override;
  void dump_config() override;
  float get_setup_priority() const override { return setup_priority::DATA; }

  /// Leave the link to the phone app, for half an hour at most, or take it back.
  void release(bool released);
  /// Read everything again; not more often than each minute.
  void refresh();
  /// Set a register; what the switch then shows is what is read back.
  void write(uint16_t first, uint16_t value);
  /// Say how to tell whether there is a link below the UART, which may be there without the UART getting ready.
  void set_has_link(bool (*has_link)()) { this->has_link_ = has_link; }
  template<typename F> void add_on_lost_callback(F &&callback) { this->on_lost_.add(std::forward<F>(callback)); }

#ifdef USE_SENSOR
  void add(sensor::Sensor *entity, const Source &source) { this->sensors_.push_back({entity, source}); }
  void set_link_quality(sensor::Sensor *entity) { this->link_quality_ = entity; }
  void set_failed_requests(sensor::Sensor *entity) { this->failed_requests_ = entity; }
#endif
#ifdef USE_BINARY_SENSOR
  void add(binary_sensor::BinarySensor *entity, const Source &source) {
    this->binary_sensors_.push_back({entity, source});
  }
  void set_link(binary_sensor::BinarySensor *entity) { this->link_ = entity; }
#endif
#ifdef USE_TEXT_SENSOR
  void add(text_sensor::TextSensor *entity, const Source &source) { this->text_sensors_.push_back({entity, source}); }
  void set_link_status(text_sensor::TextSensor *entity) { this->link_status_ = entity; }
#ifdef USE_TIME
  void set_last_reading(text_sensor::TextSensor *entity, time::RealTimeClock *clock) {
    this->last_reading_ = entity;
    this->clock_ = clock;
  }
#endif
#endif
#ifdef USE_SWITCH
  void set_release(switch_::Switch *entity) { this->release_ = entity; }
  void add(RegisterSwitch *entity, const Source &source) { this->switches_.push_back({entity, source}); }
#endif

 protected:
  void keep_link_(Millis now);
  void exchange_(Millis now);
  void publish_readings_();
  void publish_link_();
  void publish_last_reading_();

  const Map &map_;
  Unit unit_;
  Session session_;
  bool (*has_link_)(){nullptr};
  bool is_up_{false};
  bool is_linked_{false};  // and no more than that
  bool was_failed_{false};
  Millis begin_from_{0};
  Millis released_until_{0};
  Millis connect_by_{NEVER};
  Millis refresh_from_{0};
  LazyCallbackManager<void()> on_lost_;

#ifdef USE_SENSOR
  std::vector<Shown<sensor::Sensor>> sensors_;
  sensor::Sensor *link_quality_{nullptr};
  sensor::Sensor *failed_requests_{nullptr};
#endif
#ifdef USE_BINARY_SENSOR
  std::vector<Shown<binary_sensor::BinarySensor>> binary_sensors_;
  binary_sensor::BinarySensor *link_{nullptr};
#endif
#ifdef USE_TEXT_SENSOR
  std::vector<Shown<text_sensor::TextSensor>> text_sensors_;
  text_sensor::TextSensor *link_status_{nullptr};
#ifdef USE_TIME
  text_sensor::TextSensor *last_reading_{nullptr};
  time::RealTimeClock *clock_{nullptr};
  uint32_t shown_readings_{0};
  time_t shown_reading_{0};
  time_t reading_{0};
#endif
#endif
#ifdef USE_SWITCH
  switch_::Switch *release_{nullptr};
  std::vector<Shown<RegisterSwitch>> switches_;
#endif
};

#ifdef USE_SWITCH
class ReleaseSwitch : public switch_::Switch, public Parented<Renogy> {
 protected:
  void write_state(bool state) override { this->parent_->release(state); }
};

class RegisterSwitch : public switch_::Switch, public Parented<Renogy> {
 public:
  void set_register(uint16_t first) { this->first_ = first; }
  /// Show what was read; nothing: it is missing.
  void show(std::optional<bool> state);

 protected:
  void write_state(bool state) override { this->parent_->write(this->first_, state ? 1 : 0); }

  uint16_t first_{0};
};
#endif

template<typename... Ts> class RefreshAction : public Action<Ts...>, public Parented<Renogy> {
 public:
  void play(const Ts &...) override { this->parent_->refresh(); }
};

}  // namespace esphome::renogy
