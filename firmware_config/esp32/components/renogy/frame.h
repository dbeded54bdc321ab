#pragma once
// Modbus RTU as Renogy devices speak it: two requests, and the parser that lets through only what answers them.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace esphome::renogy {

static constexpr uint8_t UNIVERSAL_ADDRESS = 0xFF;  // every device answers it, with 0xFF or with its own address

uint16_t modbus_crc(const uint8_t *data, size_t length);

/// Asks a device address for `words` registers from `first` on, or sets that one to `value`.
struct Request {
  uint8_t address{0};
  uint16_t first{0};
  uint8_t words{0};
  std::optional<uint16_t> value{};

  bool operator==(const Request &other) const = default;
  std::array<uint8_t, 8> encode() const;
};

/// What answers a request: the bytes of its registers, none for a write, or an exception code.
struct Reply {
  uint8_t address{0};
  std::optional<uint8_t> exception{};
  std::vector<uint8_t> data;
};

/// Takes any split of bytes; at most one reply for each request.
class ReplyParser {
 public:
  /// Wait for the answer to `request`; what came before can't belong to it and is dropped.
  void expect(const Request &request);
  /// Expect nothing.
  void cancel();
  std::optional<Reply> feed(const uint8_t *data, size_t length);

 protected:
  size_t frame_length_(size_t start) const;
  bool may_be_the_reply_(size_t start) const;
  bool is_from_the_device_(uint8_t address) const;
  std::optional<Reply> judge_(size_t start, size_t length) const;

  std::optional<Request> request_;
  std::vector<uint8_t> buffer_;
};

}  // namespace esphome::renogy
