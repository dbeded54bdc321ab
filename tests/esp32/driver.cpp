// The pure parts of the component `renogy`, asked line by line; what it prints is compared with the Python proxy.
#include <cinttypes>
#include <cstdio>
#include <iostream>
#include <map>
#include <sstream>

#include "maps.h"
#include "session.h"

using namespace esphome::renogy;

static constexpr Millis STEP = 10;

static std::vector<uint8_t> bytes_of(const std::string &hex) {
  std::vector<uint8_t> bytes;
  for (size_t place = 0; place + 1 < hex.size(); place += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoi(hex.substr(place, 2), nullptr, 16)));
  return bytes;
}

static std::string hex_of(std::span<const uint8_t> bytes) {
  std::string hex;
  char digits[3];
  for (uint8_t byte : bytes) {
    snprintf(digits, sizeof(digits), "%02x", byte);
    hex += digits;
  }
  return hex;
}

/// A unit, its session and its plan; each line of `in` is a command.
class Driver {
 public:
  explicit Driver(const Map &map) : map_(map), unit_(map), session_(map, unit_) {}

  void run(std::istream &in, const std::string &command) {
    if (command == "round") {
      double value;
      int decimals;
      in >> value >> decimals;
      printf("%.17g\n", round_to(value, decimals));
    } else if (command == "matches") {
      std::string glob, name;
      in >> glob >> name;
      printf("%d\n", matches(glob.c_str(), name));
    } else if (command == "parse") {
      this->parse_(in);
    } else if (command == "identified") {
      std::string model;
      in >> model;
      this->unit_.identified(model == "-" ? "" : model);
    } else if (command == "block") {
      this->block_(in);
    } else if (command == "block_at") {
      this->block_at_(in);
    } else if (command == "expire") {
      Millis now;
      in >> now;
      this->unit_.expire(now);
    } else if (command == "settle") {
      this->unit_.settle();
    } else if (command == "show") {
      this->show_(in);
    } else if (command == "fresh") {
      int schedule;
      in >> schedule;
      printf("%" PRId64 "\n", this->unit_.fresh(static_cast<Schedule>(schedule)));
    } else if (command == "plan") {
      this->plan_command_(in);
    } else if (command == "begin") {
      Millis now;
      in >> now;
      this->session_.begin(now);
    } else if (command == "end") {
      this->session_.end("ended");
    } else if (command == "write") {
      uint16_t first, value;
      in >> first >> value;
      printf("%d\n", this->session_.write(first, value));
    } else if (command == "run") {
      this->run_(in);
    } else if (command == "receive") {
      Millis now;
      std::string hex;
      in >> now >> hex;
      const auto data = bytes_of(hex);
      this->session_.receive(data.data(), data.size(), now);
    } else if (command == "status") {
      const auto failed = this->unit_.failed_requests();
      printf("%d %" PRIu32 " %s\n", this->unit_.connected(), failed, this->unit_.status().c_str());
    }
  }

 private:
  /// Let time pass until a request is to be sent, the session has failed, or it is `until`.
  void run_(std::istream &in) {
    Millis now, until;
    in >> now >> until;
    std::string sent = "-";
    for (; now < until; now += STEP) {
      const auto request = this->session_.step(now);
      if (request || this->session_.failed()) {
        sent = request ? hex_of(request->encode()) : "failed";
        break;
      }
    }
    printf("%" PRId64 " %s\n", now, sent.c_str());
  }

  void parse_(std::istream &in) {
    int address, first, words, value;
    in >> address >> first >> words >> value;  // -1: a read
    Request request{static_cast<uint8_t>(address), static_cast<uint16_t>(first), static_cast<uint8_t>(words)};
    if (value >= 0)
      request.value = static_cast<uint16_t>(value);
    ReplyParser parser;
    parser.expect(request);
    std::string hex, found = "-";
    while (in >> hex) {
      const auto data = bytes_of(hex);
      if (auto reply = parser.feed(data.data(), data.size()))
        found = std::to_string(reply->address) + " " +
                (reply->exception ? "refused " + std::to_string(*reply->exception) : "holds " + hex_of(reply->data));
    }
    printf("%s\n", found.c_str());
  }

  void block_(std::istream &in) {
    int place;
    in >> place;
    this->take_(this->map_.blocks[place], in);
  }

  /// Take registers that are no block of the map.
  void block_at_(std::istream &in) {
    Block block{.words = 1, .schedule = Schedule::SLOW};
    in >> block.first;
    this->take_(block, in);
  }

  void take_(const Block &block, std::istream &in) {
    Millis now;
    std::string hex;
    in >> now >> hex;
    const auto data = bytes_of(hex);
    auto readings = decode_block(this->map_.rows, block.first, data, this->unit_.model());
    printf("%d\n", is_plausible(block, data, readings));
    this->unit_.update(std::move(readings), block.schedule, now);
  }

  void show_(std::istream &in) {
    std::string kind;
    Source source;
    in >> kind >> source.row >> source.other >> source.item;
    if (kind == "problem")
      source.kind = Source::Kind::PROBLEM;
    if (kind == "product")
      source.kind = Source::Kind::PRODUCT;
    if (kind == "share")
      source.kind = Source::Kind::SHARE;
    if (kind == "text") {
      printf("%s\n", this->unit_.text(source).value_or("-").c_str());
    } else if (kind == "on" || kind == "problem") {
      const auto state = this->unit_.is_on(source);
      printf("%s\n", !state ? "-" : *state ? "on" : "off");
    } else {
      const double number = this->unit_.number(source);
      printf(std::isnan(number) ? "-\n" : "%.17g\n", number);
    }
  }

  void plan_command_(std::istream &in) {
    std::string event;
    size_t place;
    int code;
    Millis now;
    in >> event >> now >> place >> code;
    const Block &block = this->map_.blocks[place];
    if (event == "start") {
      std::vector<const Block *> blocks;
      for (const auto &candidate : this->map_.blocks)
        blocks.push_back(&candidate);
      this->plan_.start(blocks, {}, this->map_.interval, now);
    } else if (event == "answered") {
      this->plan_.answered(block, now);
    } else if (event == "refused") {
      this->plan_.refused(block, static_cast<uint8_t>(code), now);
    } else if (event == "silent") {
      this->plan_.silent(block, now);
    }
    const auto turn = this->plan_.next();
    printf("%zu %" PRId64 " %d %d\n", turn.block - this->map_.blocks.data(), turn.due, this->plan_.complete(),
           this->plan_.expects(block));
  }

  const Map &map_;
  Unit unit_;
  Session session_;
  Plan plan_;
};

int main(int, char **arguments) {
  Driver driver(*MAPS.at(arguments[1]));
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream in(line);
    std::string command;
    in >> command;
    driver.run(in, command);
    fflush(stdout);
  }
}
