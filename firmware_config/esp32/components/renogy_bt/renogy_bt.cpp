#include "renogy_bt.h"
#ifdef USE_ESP32
#include "esphome/core/log.h"

#include <algorithm>

namespace esphome::renogy_bt {

namespace espbt = esphome::esp32_ble_tracker;

static const char *const TAG = "renogy_bt";
static constexpr uint16_t WRITE_SERVICE = 0xFFD0;
static constexpr uint16_t WRITE_CHARACTERISTIC = 0xFFD1;
static constexpr uint16_t NOTIFY_SERVICE = 0xFFF0;
static constexpr uint16_t NOTIFY_CHARACTERISTIC = 0xFFF1;
// Inverters with built-in Bluetooth are silent until this is read once; BT-1 and BT-2 do not have it.
static constexpr uint16_t WAKE_CHARACTERISTIC = 0xFFD4;
static constexpr uint32_t WAKE_MS = 1000;       // what an inverter takes to wake
static constexpr size_t MAX_RECEIVED = 1024;    // several times the longest frame: nobody reads any more
static const char *const WAKE_TIMEOUT = "wake";

void RenogyBT::dump_config() { ESP_LOGCONFIG(TAG, "Renogy Bluetooth module: %s", this->parent()->address_str()); }

void RenogyBT::gattc_event_handler(esp_gattc_cb_event_t event, esp_gatt_if_t gattc_if,
                                   esp_ble_gattc_cb_param_t *param) {
  switch (event) {
    case ESP_GATTC_OPEN_EVT:  // the end of the one before may have gone unsaid
    case ESP_GATTC_DISCONNECT_EVT:
    case ESP_GATTC_CLOSE_EVT:
      this->go_down_();
      break;
    case ESP_GATTC_SEARCH_CMPL_EVT:
      this->find_characteristics_();
      break;
    case ESP_GATTC_REG_FOR_NOTIFY_EVT:
      if (param->reg_for_notify.handle == this->notify_handle_)
        this->subscribed_();
      break;
    case ESP_GATTC_READ_CHAR_EVT:
      // whatever was read: having asked is what wakes it
      if (this->wake_handle_ != 0 && param->read.handle == this->wake_handle_)
        this->set_timeout(WAKE_TIMEOUT, WAKE_MS, [this]() { this->is_up_ = true; });
      break;
    case ESP_GATTC_NOTIFY_EVT:
      if (param->notify.handle == this->notify_handle_ && this->received_.size() < MAX_RECEIVED)
        this->received_.insert(this->received_.end(), param->notify.value,
                               param->notify.value + param->notify.value_len);
      break;
    default:
      break;
  }
}

bool RenogyBT::has_link() const {
  return this->node_state == espbt::ClientState::CONNECTED || this->node_state == espbt::ClientState::ESTABLISHED;
}

bool RenogyBT::is_connected() { return this->is_up_ && this->node_state == espbt::ClientState::ESTABLISHED; }

void RenogyBT::go_down_() {
  this->cancel_timeout(WAKE_TIMEOUT);
  this->is_up_ = false;
  this->received_.clear();
  this->write_handle_ = this->notify_handle_ = this->wake_handle_ = 0;
}

void RenogyBT::find_characteristics_() {
  auto *write = this->parent()->get_characteristic(WRITE_SERVICE, WRITE_CHARACTERISTIC);
  auto *notify = this->parent()->get_characteristic(NOTIFY_SERVICE, NOTIFY_CHARACTERISTIC);
  if (write == nullptr || notify == nullptr) {
    ESP_LOGE(TAG, "%s is no Renogy device: it lacks the characteristic %04X", this->parent()->address_str(),
             write == nullptr ? WRITE_CHARACTERISTIC : NOTIFY_CHARACTERISTIC);
    this->status_set_error();
    return;
  }
  this->status_clear_error();
  this->write_handle_ = write->handle;
  this->notify_handle_ = notify->handle;
  const bool has_write_without_response = (write->properties & ESP_GATT_CHAR_PROP_BIT_WRITE_NR) != 0;
  this->write_type_ = has_write_without_response ? ESP_GATT_WRITE_TYPE_NO_RSP : ESP_GATT_WRITE_TYPE_RSP;
  auto *wake = this->parent()->get_characteristic(WRITE_SERVICE, WAKE_CHARACTERISTIC);
  this->wake_handle_ = wake == nullptr || (wake->properties & ESP_GATT_CHAR_PROP_BIT_READ) == 0 ? 0 : wake->handle;
  const esp_err_t error = this->parent()->register_for_notify(this->notify_handle_);
  if (error != ESP_OK)
    ESP_LOGW(TAG, "%s: subscribing failed: %d", this->parent()->address_str(), error);
}

void RenogyBT::subscribed_() {
  this->node_state = espbt::ClientState::ESTABLISHED;
  if (this->wake_handle_ == 0 ||
      esp_ble_gattc_read_char(this->parent()->get_gattc_if(), this->parent()->get_conn_id(), this->wake_handle_,
                              ESP_GATT_AUTH_REQ_NONE) != ESP_OK)
    this->is_up_ = true;
}

void RenogyBT::write_array(const uint8_t *data, size_t len) {
  if (!this->is_up_)
    return;
  // one request is one write: the module forwards it as it is
  const esp_err_t error = esp_ble_gattc_write_char(
      this->parent()->get_gattc_if(), this->parent()->get_conn_id(), this->write_handle_, len,
      const_cast<uint8_t *>(data), this->write_type_, ESP_GATT_AUTH_REQ_NONE);
  if (error != ESP_OK)
    ESP_LOGW(TAG, "%s: writing failed: %d", this->parent()->address_str(), error);
}

bool RenogyBT::peek_byte(uint8_t *data) {
  if (this->received_.empty())
    return false;
  *data = this->received_.front();
  return true;
}

bool RenogyBT::read_array(uint8_t *data, size_t len) {
  if (this->received_.size() < len)
    return false;
  std::copy_n(this->received_.begin(), len, data);
  this->received_.erase(this->received_.begin(), this->received_.begin() + len);
  return true;
}

}  // namespace esphome::renogy_bt
#endif  // USE_ESP32
