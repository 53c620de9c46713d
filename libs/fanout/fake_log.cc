#include "libs/fanout/fake_log.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace coder::fanout {
namespace {

void AppendText(int field, const std::string& text, std::string& out) {
  out.push_back(static_cast<char>(field << 3 | 2));
  out.push_back(static_cast<char>(text.size()));
  out.append(text);
}

void AppendNumber(int field, uint64_t value, std::string& out) {
  out.push_back(static_cast<char>(field << 3));
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>((value & 0x7f) | 0x80));
  out.push_back(static_cast<char>(value));
}

}  // namespace

std::string EventBytes(const std::string& organization, const std::string& owner,
                       const std::string& workspace, int64_t version) {
  std::string bytes;
  AppendText(1, organization, bytes);
  AppendText(2, owner, bytes);
  AppendText(4, workspace, bytes);
  AppendNumber(5, static_cast<uint64_t>(version), bytes);
  return bytes;
}

std::shared_ptr<const events::Pack> MakePack(int64_t epoch, int64_t first, int64_t count,
                                             const std::string& owner_prefix) {
  std::string payload;
  for (int64_t p = first; p < first + count; ++p) {
    events::AppendFramed(EventBytes(absl::StrCat("org-", p % 2), absl::StrCat(owner_prefix, p % 3),
                                    absl::StrCat("ws-", p % 3), p + (epoch - 1) * 1'000'000),
                         payload);
  }
  return events::Pack::Read(
      {.epoch = epoch, .first_position = first, .last_position = first + count - 1}, payload);
}

std::shared_ptr<const events::Pack> FakeLog::Append(int64_t events) {
  std::lock_guard lock(mu_);
  packs_.push_back(MakePack(epoch_, head_ + 1, events));
  head_ += events;
  return packs_.back();
}

void FakeLog::DropBelow(int64_t floor) {
  std::lock_guard lock(mu_);
  std::erase_if(packs_, [floor](const auto& pack) { return pack->last_position() < floor; });
}

void FakeLog::SetBack(int64_t head) {
  std::lock_guard lock(mu_);
  ++epoch_;
  std::erase_if(packs_, [head](const auto& pack) { return pack->last_position() > head; });
  head_ = packs_.empty() ? 0 : packs_.back()->last_position();
  // What is kept belongs to the new epoch too; its events are the same.
  for (auto& pack : packs_) {
    events::Pack::Header header = pack->header();
    header.epoch = epoch_;
    pack = events::Pack::Read(header, pack->payload());
  }
}

void FakeLog::SetAvailable(bool available) {
  std::lock_guard lock(mu_);
  available_ = available;
}

int64_t FakeLog::calls() const {
  std::lock_guard lock(mu_);
  return calls_;
}

LogBounds FakeLog::BoundsLocked() const {
  return {.epoch = epoch_,
          .floor = packs_.empty() ? head_ + 1 : packs_.front()->first_position(),
          .head = head_};
}

absl::StatusOr<LogBounds> FakeLog::Bounds() {
  std::lock_guard lock(mu_);
  ++calls_;
  if (!available_) return absl::UnavailableError("read event log: it is down");
  return BoundsLocked();
}

absl::StatusOr<std::vector<std::shared_ptr<const events::Pack>>> FakeLog::Read(int64_t after,
                                                                               int64_t up_to,
                                                                               int64_t max_events) {
  std::lock_guard lock(mu_);
  ++calls_;
  if (!available_) return absl::UnavailableError("read event log: it is down");
  if (after + 1 < BoundsLocked().floor) {
    return absl::OutOfRangeError(absl::StrCat("read event log after ", after, ": below its floor"));
  }
  std::vector<std::shared_ptr<const events::Pack>> found;
  for (const auto& pack : packs_) {
    if (pack->last_position() <= after || pack->first_position() > up_to) continue;
    if (!found.empty() && pack->last_position() - after > max_events) break;
    found.push_back(pack);
  }
  return found;
}

}  // namespace coder::fanout
