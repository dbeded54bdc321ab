// The Bluetooth pipe, on stand-ins of ESP-IDF and ESPHome: what it asks for, when it is up, what it passes on.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "check.h"
#include "renogy_bt.h"

using namespace esphome;
using State = esp32_ble_tracker::ClientState;

static constexpr uint16_t WRITE = 11, NOTIFY = 22, WAKE = 33;

struct Rig {
  ble_client::BLEClient client;
  renogy_bt::RenogyBT pipe;

  explicit Rig(bool has_wake, uint8_t write_properties = ESP_GATT_CHAR_PROP_BIT_WRITE_NR) {
    asked = {};
    read_result = ESP_OK;
    this->client.characteristics[{0xFFD0, 0xFFD1}] = {WRITE, write_properties};
    this->client.characteristics[{0xFFF0, 0xFFF1}] = {NOTIFY, 0};
    if (has_wake)
      this->client.characteristics[{0xFFD0, 0xFFD4}] = {WAKE, ESP_GATT_CHAR_PROP_BIT_READ};
    this->pipe.set_ble_client_parent(&this->client);
  }

  void happens(esp_gattc_cb_event_t event, uint16_t handle = 0, const char *data = "") {
    esp_ble_gattc_cb_param_t param{};
    uint8_t value[64];
    const size_t length = strlen(data);
    memcpy(value, data, length);
    if (event == ESP_GATTC_NOTIFY_EVT) {
      param.notify = {handle, static_cast<uint16_t>(length), value};
    } else {
      param.read = {handle};
    }
    this->pipe.gattc_event_handler(event, 1, &param);
  }

  void opens() {
    this->pipe.node_state = State::CONNECTED;
    this->happens(ESP_GATTC_OPEN_EVT);
  }

  void connects() {
    this->opens();
    this->happens(ESP_GATTC_SEARCH_CMPL_EVT);
    this->happens(ESP_GATTC_REG_FOR_NOTIFY_EVT, NOTIFY);
  }
};

static void wakes_what_has_to_be_woken() {
  Rig rig(true);
  CHECK(!rig.pipe.has_link());
  rig.opens();
  rig.happens(ESP_GATTC_SEARCH_CMPL_EVT);
  CHECK(asked.subscriptions == std::vector<uint16_t>{NOTIFY});
  CHECK(asked.reads.empty() && rig.pipe.has_link() && rig.pipe.node_state == State::CONNECTED);
  rig.happens(ESP_GATTC_REG_FOR_NOTIFY_EVT, NOTIFY);
  CHECK(asked.reads == std::vector<uint16_t>{WAKE});
  CHECK(!rig.pipe.is_connected());
  rig.happens(ESP_GATTC_READ_CHAR_EVT, WAKE);
  CHECK(!rig.pipe.is_connected());  // it takes its time
  rig.pipe.fire();
  CHECK(rig.pipe.is_connected());
}

static void is_up_at_once_where_nothing_sleeps() {
  Rig rig(false);
  rig.connects();
  CHECK(rig.pipe.is_connected() && asked.reads.empty() && rig.pipe.node_state == State::ESTABLISHED);
  Rig refused(true);
  read_result = 1;
  refused.connects();
  CHECK(refused.pipe.is_connected());
}

static void is_not_up_after_a_connection_that_ended_while_it_woke() {
  Rig rig(true);
  rig.connects();
  rig.happens(ESP_GATTC_READ_CHAR_EVT, WAKE);
  rig.happens(ESP_GATTC_DISCONNECT_EVT);
  rig.pipe.fire();
  CHECK(!rig.pipe.is_connected());
}

/// ESPHome gives up waiting for the end of a connection after 10 s, without an event.
static void is_not_up_after_a_connection_whose_end_went_unsaid() {
  Rig rig(false);
  rig.connects();
  for (auto state : {State::DISCONNECTING, State::IDLE}) {
    rig.pipe.node_state = state;
    CHECK(!rig.pipe.is_connected() && !rig.pipe.has_link());
  }
  rig.opens();
  rig.pipe.node_state = State::ESTABLISHED;
  CHECK(rig.pipe.has_link() && !rig.pipe.is_connected());
}

static void passes_on_what_comes_and_nothing_of_before() {
  Rig rig(false);
  rig.connects();
  rig.happens(ESP_GATTC_NOTIFY_EVT, NOTIFY, "abc");
  rig.happens(ESP_GATTC_NOTIFY_EVT, WRITE, "not ours");
  rig.happens(ESP_GATTC_NOTIFY_EVT, NOTIFY, "def");
  uint8_t data[8]{};
  CHECK(rig.pipe.available() == 6 && rig.pipe.peek_byte(data) && data[0] == 'a');
  CHECK(!rig.pipe.read_array(data, 7));
  CHECK(rig.pipe.read_array(data, 4) && memcmp(data, "abcd", 4) == 0 && rig.pipe.available() == 2);
  rig.happens(ESP_GATTC_CLOSE_EVT);
  CHECK(rig.pipe.available() == 0 && !rig.pipe.peek_byte(data));
  for (int times = 0; times < 1000; times++)
    rig.happens(ESP_GATTC_NOTIFY_EVT, 0, "................");
  CHECK(rig.pipe.available() <= 1024 + 16);
}

static void writes_as_the_device_wants_it() {
  Rig rig(false);
  const uint8_t request[] = {0xFF, 3, 1, 0, 0, 34, 0xD1, 0xF1};
  rig.pipe.write_array(request, sizeof(request));
  CHECK(asked.writes.empty());
  rig.connects();
  rig.pipe.write_array(request, sizeof(request));
  CHECK(asked.writes.size() == 1 && asked.writes[0].first == ESP_GATT_WRITE_TYPE_NO_RSP);
  CHECK(asked.writes[0].second == std::vector<uint8_t>(request, request + sizeof(request)));
  Rig other(false, ESP_GATT_CHAR_PROP_BIT_WRITE);
  other.connects();
  other.pipe.write_array(request, sizeof(request));
  CHECK(asked.writes[0].first == ESP_GATT_WRITE_TYPE_RSP);
}

static void says_what_is_no_renogy_device() {
  Rig rig(false);
  rig.client.characteristics.clear();
  rig.connects();
  CHECK(rig.pipe.has_error() && asked.subscriptions.empty());
}

int main() {
  wakes_what_has_to_be_woken();
  is_up_at_once_where_nothing_sleeps();
  is_not_up_after_a_connection_that_ended_while_it_woke();
  is_not_up_after_a_connection_whose_end_went_unsaid();
  passes_on_what_comes_and_nothing_of_before();
  writes_as_the_device_wants_it();
  says_what_is_no_renogy_device();
}
