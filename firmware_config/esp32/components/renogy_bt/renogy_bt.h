#pragma once
#ifdef USE_ESP32
#include "esphome/components/ble_client/ble_client.h"
#include "esphome/components/uart/uart_component.h"
#include "esphome/core/component.h"

#include <vector>

namespace esphome::renogy_bt {

/// One characteristic that is written and one that notifies, as a UART. Bytes are passed on as they come.
class RenogyBT : public uart::UARTComponent, public Component, public ble_client::BLEClientNode {
 public:
  void dump_config() override;
  void loop() override {}
  float get_setup_priority() const override { return setup_priority::AFTER_BLUETOOTH; }
  void gattc_event_handler(esp_gattc_cb_event_t event, esp_gatt_if_t gattc_if,
                           esp_ble_gattc_cb_param_t *param) override;

  void write_array(const uint8_t *data, size_t len) override;
  bool peek_byte(uint8_t *data) override;
  bool read_array(uint8_t *data, size_t len) override;
  size_t available() override { return this->received_.size(); }
  uart::UARTFlushResult flush() override { return uart::UARTFlushResult::UART_FLUSH_RESULT_ASSUMED_SUCCESS; }
  bool is_connected() override;
  /// Whether Bluetooth is connected, which it is before the pipe is ready, and also if that never happens.
  bool has_link() const;
  void load_settings(bool dump_config) override {}
  using UARTComponent::load_settings;

 protected:
  void check_logger_conflict() override {}
  void find_characteristics_();
  void subscribed_();
  void go_down_();

  std::vector<uint8_t> received_;
  uint16_t write_handle_{0};
  uint16_t notify_handle_{0};
  uint16_t wake_handle_{0};
  esp_gatt_write_type_t write_type_{ESP_GATT_WRITE_TYPE_NO_RSP};
  bool is_up_{false};
};

}  // namespace esphome::renogy_bt
#endif  // USE_ESP32
