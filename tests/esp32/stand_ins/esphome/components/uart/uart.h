#pragma once
// A component that talks over a UART.
#include "uart_component.h"

#include <array>
#include <cstddef>

namespace esphome::uart {

class UARTDevice {
 public:
  void set_uart_parent(UARTComponent *parent) { this->parent_ = parent; }
  size_t available() { return this->parent_->available(); }
  bool read_array(uint8_t *data, size_t len) { return this->parent_->read_array(data, len); }
  template<size_t N> void write_array(const std::array<uint8_t, N> &data) { this->parent_->write_array(data.data(), data.size()); }

 protected:
  UARTComponent *parent_{nullptr};
};

}  // namespace esphome::uart
