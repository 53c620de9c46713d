#include "libs/jetstream/jetstream_admin.h"

#include <algorithm>
#include <memory>
#include <string_view>

#include "libs/jetstream/nats_status.h"

namespace coder::jetstream {
namespace {

struct InfoDeleter {
  void operator()(jsStreamInfo* info) const { jsStreamInfo_Destroy(info); }
};
using InfoPtr = std::unique_ptr<jsStreamInfo, InfoDeleter>;

absl::StatusOr<InfoPtr> ReadInfo(jsCtx* js, const StreamSpec& spec) {
  jsStreamInfo* info = nullptr;
  jsErrCode error = jsErrCode(0);
  const natsStatus s = js_GetStreamInfo(&info, js, spec.name.c_str(), nullptr, &error);
  if (s != NATS_OK) return ToStatus(s, error, "read stream " + spec.name);
  return InfoPtr(info);
}

void Fill(const StreamSpec& spec, const char** subjects, jsStreamConfig* config) {
  jsStreamConfig_Init(config);
  subjects[0] = spec.subject.c_str();
  config->Name = spec.name.c_str();
  config->Subjects = subjects;
  config->SubjectsLen = 1;
  config->Storage = js_FileStorage;
  config->Retention = js_LimitsPolicy;
  config->Discard = js_DiscardOld;
  config->MaxBytes = spec.max_bytes;
  config->MaxAge = absl::ToInt64Nanoseconds(spec.max_age);
  config->Duplicates = absl::ToInt64Nanoseconds(spec.duplicate_window);
  config->Replicas = spec.replicas;
}

// The server writes "no limit" as -1, the library also as 0.
bool SameLimit(int64_t has, int64_t wanted) {
  return std::max<int64_t>(has, 0) == std::max<int64_t>(wanted, 0);
}

bool Agrees(const jsStreamConfig& has, const jsStreamConfig& wanted) {
  return has.SubjectsLen == 1 && std::string_view(has.Subjects[0]) == wanted.Subjects[0] &&
         has.Storage == wanted.Storage && has.Retention == wanted.Retention &&
         has.Discard == wanted.Discard && has.MaxBytes == wanted.MaxBytes &&
         has.MaxAge == wanted.MaxAge && has.Duplicates == wanted.Duplicates &&
         has.Replicas == wanted.Replicas && SameLimit(has.MaxMsgs, wanted.MaxMsgs) &&
         SameLimit(has.MaxMsgSize, wanted.MaxMsgSize) &&
         SameLimit(has.MaxMsgsPerSubject, wanted.MaxMsgsPerSubject) && !has.NoAck && !has.Sealed &&
         !has.DenyPurge;
}

}  // namespace

absl::StatusOr<bool> JetstreamAdmin::Ensure() {
  const char* subjects[1];
  jsStreamConfig wanted;
  Fill(spec_, subjects, &wanted);
  const auto info = ReadInfo(connection_.js(), spec_);
  jsErrCode error = jsErrCode(0);
  if (info.ok()) {
    if (Agrees(*(*info)->Config, wanted)) return false;
    const natsStatus s = js_UpdateStream(nullptr, connection_.js(), &wanted, nullptr, &error);
    if (s != NATS_OK) return ToStatus(s, error, "repair stream " + spec_.name);
    return true;
  }
  if (info.status().code() != absl::StatusCode::kNotFound) return info.status();
  const natsStatus s = js_AddStream(nullptr, connection_.js(), &wanted, nullptr, &error);
  if (s != NATS_OK) return ToStatus(s, error, "create stream " + spec_.name);
  return true;
}

absl::StatusOr<StreamState> JetstreamAdmin::State() {
  const auto info = ReadInfo(connection_.js(), spec_);
  if (!info.ok()) return info.status();
  const jsStreamState& state = (*info)->State;
  StreamState read = {.first_sequence = state.FirstSeq,
                      .last_sequence = state.LastSeq,
                      .messages = state.Msgs,
                      .bytes = state.Bytes};
  // A stream that never held anything says 0 and 0.
  if (read.empty()) read.first_sequence = read.last_sequence + 1;
  return read;
}

absl::StatusOr<StreamMessage> JetstreamAdmin::ReadAt(uint64_t sequence) {
  natsMsg* message = nullptr;
  jsErrCode error = jsErrCode(0);
  const natsStatus s =
      js_GetMsg(&message, connection_.js(), spec_.name.c_str(), sequence, nullptr, &error);
  const MessagePtr owned(message);
  if (s != NATS_OK) {
    return ToStatus(s, error, "read message " + std::to_string(sequence) + " of " + spec_.name);
  }
  return ReadMessage(message, sequence);
}

absl::StatusOr<StreamMessage> JetstreamAdmin::ReadTail() {
  const auto state = State();
  if (!state.ok()) return state.status();
  if (state->empty()) return absl::NotFoundError("read tail of " + spec_.name + ": it is empty");
  return ReadAt(state->last_sequence);
}

absl::Status JetstreamAdmin::Purge(uint64_t last_sequence) {
  jsErrCode error = jsErrCode(0);
  jsOptions options;
  jsOptions_Init(&options);
  // The server removes what is below it.
  options.Stream.Purge.Sequence = last_sequence + 1;
  const natsStatus s = js_PurgeStream(connection_.js(), spec_.name.c_str(), &options, &error);
  return ToStatus(s, error, "purge stream " + spec_.name);
}

}  // namespace coder::jetstream
