#pragma once
// A text that is shown.
#include <string>

namespace esphome::text_sensor {

class TextSensor {
 public:
  void publish_state(const std::string &text) {
    this->state = text;
    this->has_state_ = true;
  }
  bool has_state() const { return this->has_state_; }
  void set_has_state(bool has_state) { this->has_state_ = has_state; }

  std::string state;

 private:
  bool has_state_{false};
};

}  // namespace esphome::text_sensor
