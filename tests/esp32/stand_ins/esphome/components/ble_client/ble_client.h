#pragma once
// The part of ESP-IDF's GATT client and of ESPHome's ble_client that renogy_bt uses; what it asks for is noted.
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

using esp_err_t = int;
using esp_gatt_if_t = uint8_t;
static constexpr esp_err_t ESP_OK = 0;
enum esp_gatt_write_type_t { ESP_GATT_WRITE_TYPE_NO_RSP = 1, ESP_GATT_WRITE_TYPE_RSP };
enum esp_gatt_auth_req_t { ESP_GATT_AUTH_REQ_NONE };
enum { ESP_GATT_CHAR_PROP_BIT_READ = 0x02, ESP_GATT_CHAR_PROP_BIT_WRITE_NR = 0x04, ESP_GATT_CHAR_PROP_BIT_WRITE = 0x08 };
enum esp_gattc_cb_event_t {
  ESP_GATTC_OPEN_EVT,
  ESP_GATTC_DISCONNECT_EVT,
  ESP_GATTC_CLOSE_EVT,
  ESP_GATTC_SEARCH_CMPL_EVT,
  ESP_GATTC_REG_FOR_NOTIFY_EVT,
  ESP_GATTC_READ_CHAR_EVT,
  ESP_GATTC_NOTIFY_EVT,
};
union esp_ble_gattc_cb_param_t {
  struct {
    uint16_t handle;
  } reg_for_notify, read;
  struct {
    uint16_t handle;
    uint16_t value_len;
    uint8_t *value;
  } notify;
};

struct Asked {
  std::vector<uint16_t> reads;
  std::vector<uint16_t> subscriptions;
  std::vector<std::pair<esp_gatt_write_type_t, std::vector<uint8_t>>> writes;
};
inline Asked asked;
inline esp_err_t read_result = ESP_OK;

inline esp_err_t esp_ble_gattc_read_char(esp_gatt_if_t, uint16_t, uint16_t handle, esp_gatt_auth_req_t) {
  asked.reads.push_back(handle);
  return read_result;
}

inline esp_err_t esp_ble_gattc_write_char(esp_gatt_if_t, uint16_t, uint16_t, uint16_t len, uint8_t *value,
                                          esp_gatt_write_type_t type, esp_gatt_auth_req_t) {
  asked.writes.push_back({type, {value, value + len}});
  return ESP_OK;
}

namespace esphome::esp32_ble_tracker {
enum class ClientState : uint8_t { DISCONNECTING, IDLE, CONNECTED, ESTABLISHED };
}

namespace esphome::ble_client {

struct BLECharacteristic {
  uint16_t handle;
  uint8_t properties;
};

class BLEClient {
 public:
  std::map<std::pair<uint16_t, uint16_t>, BLECharacteristic> characteristics;

  BLECharacteristic *get_characteristic(uint16_t service, uint16_t characteristic) {
    auto found = this->characteristics.find({service, characteristic});
    return found == this->characteristics.end() ? nullptr : &found->second;
  }
  esp_err_t register_for_notify(uint16_t handle) {
    asked.subscriptions.push_back(handle);
    return ESP_OK;
  }
  const char *address_str() const { return "C4:D3:6A:00:00:01"; }
  int get_gattc_if() const { return 1; }
  uint16_t get_conn_id() const { return 1; }
};

class BLEClientNode {
 public:
  virtual ~BLEClientNode() = default;
  virtual void gattc_event_handler(esp_gattc_cb_event_t, esp_gatt_if_t, esp_ble_gattc_cb_param_t *) {}
  virtual void loop() {}
  BLEClient *parent() { return this->parent_; }
  void set_ble_client_parent(BLEClient *parent) { this->parent_ = parent; }

  esp32_ble_tracker::ClientState node_state{esp32_ble_tracker::ClientState::IDLE};

 private:
  BLEClient *parent_{nullptr};
};

}  // namespace esphome::ble_client
