#include "frame.h"

#include <algorithm>

namespace esphome::renogy {

static constexpr uint8_t READ = 0x03;
static constexpr uint8_t WRITE = 0x06;
static constexpr uint8_t EXCEPTION = 0x80;
static constexpr size_t HEADER_BYTES = 3;  // address, function, byte count
static constexpr size_t CRC_BYTES = 2;
static constexpr size_t EXCEPTION_BYTES = 5;
static constexpr size_t WRITE_BYTES = 8;
static constexpr size_t MAX_BUFFER_BYTES = 512;  // twice the longest frame: garbage can't grow it

static uint8_t function_of(const Request &request) { return request.value ? WRITE : READ; }

uint16_t modbus_crc(const uint8_t *data, size_t length) {
  uint16_t crc = 0xFFFF;
  for (size_t i = 0; i < length; i++) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; bit++)
      crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xA001 : crc >> 1;
  }
  return crc;
}

std::array<uint8_t, 8> Request::encode() const {
  const uint16_t operand = this->value.value_or(this->words);
  std::array<uint8_t, 8> frame{
      this->address,        function_of(*this), uint8_t(this->first >> 8), uint8_t(this->first),
      uint8_t(operand >> 8), uint8_t(operand),   0,                         0,
  };
  const uint16_t crc = modbus_crc(frame.data(), 6);
  frame[6] = uint8_t(crc);
  frame[7] = uint8_t(crc >> 8);
  return frame;
}

void ReplyParser::expect(const Request &request) {
  this->buffer_.clear();
  this->request_ = request;
}

void ReplyParser::cancel() {
  this->buffer_.clear();
  this->request_.reset();
}

std::optional<Reply> ReplyParser::feed(const uint8_t *data, size_t length) {
  if (!this->request_)
    return {};
  auto &buffer = this->buffer_;
  buffer.insert(buffer.end(), data, data + length);
  if (buffer.size() > MAX_BUFFER_BYTES)
    buffer.erase(buffer.begin(), buffer.end() - MAX_BUFFER_BYTES);
  size_t kept = buffer.size();  // the first place where an unfinished frame may start
  for (size_t start = 0; start < buffer.size();) {
    const size_t frame = this->frame_length_(start);
    if (frame > buffer.size() - start) {
      kept = std::min(kept, start);
      if (this->may_be_the_reply_(start))
        break;  // most likely the reply itself: its payload is not searched for frames
    } else if (frame != 0) {
      const uint8_t *end = &buffer[start] + frame - CRC_BYTES;
      if (modbus_crc(&buffer[start], frame - CRC_BYTES) == (end[0] | end[1] << 8)) {
        if (auto reply = this->judge_(start, frame)) {
          this->cancel();
          return reply;
        }
        buffer.erase(buffer.begin(), buffer.begin() + start + frame);
        start = 0;
        kept = buffer.size();
        continue;
      }
    }
    start++;
  }
  buffer.erase(buffer.begin(), buffer.begin() + kept);
  return {};
}

/// Return the length of the frame whose header stands at `start`, as far as it is there; 0 for no header.
size_t ReplyParser::frame_length_(size_t start) const {
  const size_t have = this->buffer_.size() - start;
  if (this->buffer_[start] == 0)
    return 0;
  if (have == 1)
    return HEADER_BYTES;
  switch (this->buffer_[start + 1]) {
    case READ | EXCEPTION:
    case WRITE | EXCEPTION:
      return EXCEPTION_BYTES;
    case WRITE:
      return WRITE_BYTES;
    case READ:
      return have < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + this->buffer_[start + 2] + CRC_BYTES;
    default:
      return 0;
  }
}

bool ReplyParser::may_be_the_reply_(size_t start) const {
  const size_t have = this->buffer_.size() - start;
  if (!this->is_from_the_device_(this->buffer_[start]))
    return false;
  if (have < HEADER_BYTES)
    return true;
  return this->buffer_[start + 1] == function_of(*this->request_) &&
         (this->request_->value || this->buffer_[start + 2] == 2 * this->request_->words);
}

bool ReplyParser::is_from_the_device_(uint8_t address) const {
  return this->request_->address == address || this->request_->address == UNIVERSAL_ADDRESS;
}

/// Return the reply that a frame with a valid CRC is; nothing when it answers something else.
std::optional<Reply> ReplyParser::judge_(size_t start, size_t length) const {
  const uint8_t *frame = &this->buffer_[start];
  if (!this->is_from_the_device_(frame[0]))
    return {};
  const uint8_t function = function_of(*this->request_);
  if (frame[1] == (function | EXCEPTION))
    return Reply{frame[0], frame[2], {}};
  if (frame[1] != function)
    return {};
  if (this->request_->value) {  // answered by an echo
    const auto sent = this->request_->encode();
    return std::equal(frame + 2, frame + 6, sent.begin() + 2) ? std::optional<Reply>({frame[0], {}, {}}) : std::nullopt;
  }
  if (length != HEADER_BYTES + 2u * this->request_->words + CRC_BYTES)
    return {};
  return Reply{frame[0], {}, {frame + HEADER_BYTES, frame + length - CRC_BYTES}};
}

}  // namespace esphome::renogy
