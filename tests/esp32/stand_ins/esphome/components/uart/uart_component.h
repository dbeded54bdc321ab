#pragma once
// The part of ESPHome's UART that a UART has to provide.
#include <cstddef>
#include <cstdint>

namespace esphome::uart {

enum class UARTFlushResult { UART_FLUSH_RESULT_ASSUMED_SUCCESS };

class UARTComponent {
 public:
  virtual ~UARTComponent() = default;
  virtual void write_array(const uint8_t *data, size_t len) = 0;
  virtual bool peek_byte(uint8_t *data) = 0;
  virtual bool read_array(uint8_t *data, size_t len) = 0;
  virtual size_t available() = 0;
  virtual UARTFlushResult flush() = 0;
  virtual bool is_connected() { return true; }
  virtual void load_settings(bool) {}
  virtual void load_settings() {}

 protected:
  virtual void check_logger_conflict() = 0;
};

}  // namespace esphome::uart
