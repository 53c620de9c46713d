#include "libs/events/resume_token.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace coder::events {
namespace {

// version, epoch, position, event hash, checksum.
constexpr unsigned char kVersion = 1;
constexpr size_t kTokenSize = 1 + 4 + 8 + 4 + 4;

void AppendBigEndian(uint64_t value, int bytes, std::string& out) {
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t TakeBigEndian(std::string_view& in, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value = (value << 8) | static_cast<unsigned char>(in[i]);
  in.remove_prefix(bytes);
  return value;
}

absl::Status Refusal(absl::string_view cause) {
  return absl::InvalidArgumentError(absl::StrCat("read resume token: ", cause,
                                                 "; pass a token exactly as it was received, or "
                                                 "none and take a snapshot"));
}

}  // namespace

uint32_t EventHash(const EventSlice& event) {
  return static_cast<uint32_t>(StableHash(EventId(event))) | 1u;
}

std::string EncodeResumeToken(const ResumeToken& token) {
  std::string body;
  body.reserve(kTokenSize);
  body.push_back(static_cast<char>(kVersion));
  AppendBigEndian(static_cast<uint64_t>(token.epoch), 4, body);
  AppendBigEndian(static_cast<uint64_t>(token.position), 8, body);
  AppendBigEndian(token.event_hash, 4, body);
  AppendBigEndian(StableHash(body), 4, body);
  std::string text;
  absl::WebSafeBase64Escape(body, &text);
  return text;
}

absl::StatusOr<ResumeToken> DecodeResumeToken(std::string_view text) {
  std::string body;
  if (!absl::WebSafeBase64Unescape(absl::string_view(text.data(), text.size()), &body)) {
    return Refusal("it is not base64url text");
  }
  if (body.empty()) return Refusal("it is empty");
  if (static_cast<unsigned char>(body[0]) != kVersion) {
    return Refusal(absl::StrCat("its version is ", static_cast<unsigned char>(body[0]),
                                ", this server reads ", kVersion));
  }
  if (body.size() != kTokenSize) {
    return Refusal(absl::StrCat("it has ", body.size(), " bytes instead of ", kTokenSize));
  }
  std::string_view rest(body);
  rest.remove_prefix(1);
  ResumeToken token;
  token.epoch = static_cast<int64_t>(TakeBigEndian(rest, 4));
  token.position = static_cast<int64_t>(TakeBigEndian(rest, 8));
  token.event_hash = static_cast<uint32_t>(TakeBigEndian(rest, 4));
  const auto checked = std::string_view(body).substr(0, kTokenSize - 4);
  if (TakeBigEndian(rest, 4) != (StableHash(checked) & 0xffffffffu)) {
    return Refusal("it is damaged");
  }
  if (token.position < 0 || (token.position == 0) != (token.event_hash == 0)) {
    return Refusal("its numbers contradict each other");
  }
  return token;
}

}  // namespace coder::events
