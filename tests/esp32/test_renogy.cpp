// The component itself, on stand-ins of what it is built on: what it does of a link that comes, goes, or hangs.
#include <cstdio>
#include <cstdlib>

#include "check.h"
#include "esphome/core/hal.h"
#include "maps.h"
#include "renogy.h"

using namespace esphome;

static constexpr uint64_t STEP = 100;
static bool has_link;

struct Pipe : uart::UARTComponent {
  bool is_ready{false};
  int requests{0};

  void write_array(const uint8_t *, size_t) override { this->requests++; }
  bool peek_byte(uint8_t *) override { return false; }
  bool read_array(uint8_t *, size_t) override { return false; }
  size_t available() override { return 0; }
  uart::UARTFlushResult flush() override { return uart::UARTFlushResult::UART_FLUSH_RESULT_ASSUMED_SUCCESS; }
  bool is_connected() override { return this->is_ready; }
  void check_logger_conflict() override {}
};

struct Rig {
  Pipe pipe;
  text_sensor::TextSensor status;
  renogy::Renogy hub{*MAPS.at("controller")};
  int lost{0};
  bool disconnects{true};  // when asked to

  Rig() {
    clock_ms = 1000;
    has_link = false;
    this->hub.set_uart_parent(&this->pipe);
    this->hub.set_has_link([]() { return has_link; });
    this->hub.set_link_status(&this->status);
    this->hub.add_on_lost_callback([this]() {
      this->lost++;
      if (this->disconnects)
        has_link = this->pipe.is_ready = false;
    });
    this->hub.setup();
  }

  void pass(uint64_t seconds) {
    for (const uint64_t end = clock_ms + seconds * 1000; clock_ms < end; clock_ms += STEP)
      this->hub.loop();
  }
  bool says(const char *text) const { return this->status.state.find(text) != std::string::npos; }
};

static void a_pipe_that_never_gets_ready_is_made_anew() {
  Rig rig;
  has_link = true;
  rig.pass(29);
  CHECK(rig.lost == 0 && !rig.says("not"));
  rig.pass(2);
  CHECK(rig.lost == 1 && rig.says("connected, but not ready"));
  has_link = true;  // and hangs again
  rig.pass(31);
  CHECK(rig.lost == 2);
  has_link = true;  // and is ready, in the end
  rig.pass(5);
  rig.pipe.is_ready = true;
  rig.pass(2);
  CHECK(rig.lost == 2 && rig.says("linked, finding out") && rig.pipe.requests == 1);
}

static void what_hangs_hours_later_is_made_anew_as_well() {
  Rig rig;
  rig.pass(3600);
  CHECK(rig.lost == 0 && rig.says("not heard"));
  has_link = true;
  rig.pass(31);
  CHECK(rig.lost == 1 && rig.says("connected, but not ready"));
  rig.pass(21);
  CHECK(rig.lost == 1 && rig.says("not heard"));
}

static void a_link_that_does_not_end_is_ended_again_and_less_often() {
  Rig rig;
  rig.disconnects = false;
  has_link = true;
  for (const uint64_t seconds : {30, 32, 34, 38, 46, 62, 94, 94}) {
    const int before = rig.lost;
    rig.pass(seconds);
    CHECK(rig.lost == before);
    rig.hub.loop();
    CHECK(rig.lost == before + 1);
  }
}

static void a_released_link_is_left_alone() {
  Rig rig;
  rig.hub.release(true);
  has_link = true;
  rig.pass(600);
  CHECK(rig.lost == 0 && rig.says("released"));
  rig.hub.release(false);
  rig.pass(31);
  CHECK(rig.lost == 1);
}

int main() {
  a_pipe_that_never_gets_ready_is_made_anew();
  what_hangs_hours_later_is_made_anew_as_well();
  a_link_that_does_not_end_is_ended_again_and_less_often();
  a_released_link_is_left_alone();
}
