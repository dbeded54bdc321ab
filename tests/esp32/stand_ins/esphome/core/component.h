#pragma once
// As much of ESPHome's Component as ours use; time passes when the test says so.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace esphome {

namespace setup_priority {
static constexpr float DATA = 600.0f;
static constexpr float AFTER_BLUETOOTH = 300.0f;
}

class Component {
 public:
  virtual ~Component() = default;
  virtual void setup() {}
  virtual void loop() {}
  virtual void dump_config() {}
  virtual float get_setup_priority() const { return 0.0f; }

  /// Let every timeout end.
  void fire() {
    auto timeouts = std::move(this->timeouts_);
    this->timeouts_.clear();
    for (auto &timeout : timeouts)
      timeout.second();
  }
  bool has_error() const { return this->has_error_; }

 protected:
  void set_timeout(const char *name, uint32_t, std::function<void()> &&f) { this->timeouts_[name] = std::move(f); }
  bool cancel_timeout(const char *name) { return this->timeouts_.erase(name) != 0; }
  void status_set_error() { this->has_error_ = true; }
  void status_clear_error() { this->has_error_ = false; }

 private:
  std::map<std::string, std::function<void()>> timeouts_;
  bool has_error_{false};
};

}  // namespace esphome
