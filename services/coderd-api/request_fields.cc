#include "services/coderd-api/request_fields.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "absl/strings/str_cat.h"
#include "libs/ids/uuid.h"

namespace coder::api {
namespace {

// Maps have no order of their own; the same request must have the same bytes.
std::string DeterministicBytes(const google::protobuf::MessageLite& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

}  // namespace

absl::Status InvalidField(absl::string_view field, absl::string_view description) {
  return status::WithFieldViolation(
      absl::InvalidArgumentError(absl::StrCat(field, ": ", description)), field, description);
}

absl::StatusOr<std::optional<storage::RequestKey>> RequestKeyOf(
    const CallContext& call, const std::string& request_id,
    const google::protobuf::MessageLite& request) {
  if (request_id.empty()) return std::nullopt;
  const absl::StatusOr<ids::Uuid> id = ids::Uuid::Parse(request_id);
  if (!id.ok()) return InvalidField("request_id", id.status().message());
  return storage::RequestKey{.caller = call.caller->Identity(),
                             .method = call.method,
                             .request_id = *id,
                             .request = DeterministicBytes(request)};
}

}  // namespace coder::api
