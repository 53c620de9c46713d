#include <grpcpp/alarm.h>

#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "libs/archive/template_archive.h"
#include "libs/auth/token.h"
#include "libs/server/grpc_channel.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/request_fields.h"
#include "services/coderd-api/template_service.h"

namespace coder::api {
namespace {

using auth::Action;

constexpr absl::string_view kTar = "application/x-tar";
constexpr absl::string_view kGzip = "application/gzip";
constexpr absl::string_view kGzipMagic = "\x1f\x8b";

absl::Status Refused(absl::string_view cause) {
  return status::WithReason(absl::InvalidArgumentError(absl::StrCat("upload archive: ", cause)),
                            "ARCHIVE_REFUSED");
}

absl::Status TooLarge(absl::string_view cause) {
  return status::WithReason(absl::ResourceExhaustedError(absl::StrCat("upload archive: ", cause)),
                            "ARCHIVE_TOO_LARGE");
}

absl::Status CheckInfo(const v1::UploadFileRequest::Info& info) {
  if (info.media_type() == kTar || info.media_type() == kGzip) return absl::OkStatus();
  return InvalidField("info.media_type",
                      absl::StrCat("\"", absl::CHexEscape(info.media_type()),
                                   "\" is not taken; use \"", kTar, "\" or \"", kGzip, "\""));
}

absl::Status AppendChunk(const v1::UploadFileRequest& message, std::string& data) {
  if (!message.has_chunk()) return InvalidField("chunk", "is missing; send data after the info");
  if (message.chunk().size() > TemplateService::kMaxChunkBytes) {
    return InvalidField("chunk",
                        absl::StrCat("has ", message.chunk().size(), " bytes; send at most ",
                                     TemplateService::kMaxChunkBytes, " at a time"));
  }
  const auto limit = archive::TemplateArchiveLimits().max_archive_bytes;
  if (data.size() + message.chunk().size() > limit) {
    return TooLarge(absl::StrCat("it is over ", limit, " bytes; leave out what is not needed"));
  }
  data += message.chunk();
  return absl::OkStatus();
}

absl::Status CheckArchive(const std::string& data, absl::string_view media_type) {
  const bool is_gzip = absl::StartsWith(data, kGzipMagic);
  if (is_gzip != (media_type == kGzip)) {
    return Refused(absl::StrCat("the data are not of the media type \"", media_type,
                                "\" they were announced as; announce what they are"));
  }
  const absl::Status checked = archive::CheckTemplateArchive(data).status();
  if (absl::IsInvalidArgument(checked)) return Refused(checked.message());
  if (absl::IsResourceExhausted(checked)) return TooLarge(checked.message());
  return checked;
}

}  // namespace

// One of the transfers at once. A client that stalls is cut off at the call's deadline, because the
// blocking reads and writes know none of their own.
class TemplateService::Transfer {
 public:
  // RESOURCE_EXHAUSTED when there are too many.
  static absl::StatusOr<std::unique_ptr<Transfer>> Begin(std::atomic<int>& running,
                                                         grpc::ServerContext& context,
                                                         const CallContext& call) {
    if (running.fetch_add(1) >= kMaxTransfers) {
      running.fetch_sub(1);
      return status::WithRetryAfter(
          absl::ResourceExhaustedError(absl::StrCat("transfer archive: ", kMaxTransfers,
                                                    " transfers are running; try again shortly")),
          absl::Seconds(1));
    }
    return std::unique_ptr<Transfer>(new Transfer(running, context, call));
  }

  ~Transfer() {
    cutoff_.Cancel();
    done_.WaitForNotification();
    running_.fetch_sub(1);
  }

  // Why a read or write ended early.
  absl::Status Interrupted() const {
    if (deadline_.Expired()) {
      return absl::DeadlineExceededError(
          "transfer archive: it took too long; allow more time or a faster link");
    }
    return absl::CancelledError("transfer archive: the client went away; transfer it again");
  }
  bool interrupted(const grpc::ServerContext& context) const {
    return context.IsCancelled() || deadline_.Expired();
  }

 private:
  Transfer(std::atomic<int>& running, grpc::ServerContext& context, const CallContext& call)
      : running_(running), deadline_(call.deadline) {
    cutoff_.Set(server::CallDeadline(deadline_.Remaining()), [this, &context](bool expired) {
      if (expired) context.TryCancel();
      done_.Notify();
    });
  }

  std::atomic<int>& running_;
  const clock::Deadline deadline_;
  grpc::Alarm cutoff_;
  absl::Notification done_;
};

absl::StatusOr<storage::NewFile> TemplateService::ReceiveFile(
    const CallContext& call, grpc::ServerReader<v1::UploadFileRequest>& reader) {
  v1::UploadFileRequest message;
  if (!reader.Read(&message) || !message.has_info()) {
    return InvalidField("info", "is missing; send it first");
  }
  const v1::UploadFileRequest::Info info = message.info();
  RETURN_IF_ERROR(CheckInfo(info));
  ASSIGN_OR_RETURN(const auto organization, IdField<lifecycle::OrganizationId>(
                                                "info.organization_id", info.organization_id()));
  RETURN_IF_ERROR(call.Authorize(Action::kCreateTemplate, {.organization_id = organization},
                                 absl::StrCat("organization ", info.organization_id())));
  storage::NewFile file{.id = lifecycle::FileId(parts_.ids.Next()),
                        .creator = call.caller->user_id,
                        .media_type = info.media_type()};
  while (reader.Read(&message)) RETURN_IF_ERROR(AppendChunk(message, file.data));
  return file;
}

grpc::Status TemplateService::UploadFile(grpc::ServerContext* context,
                                         grpc::ServerReader<v1::UploadFileRequest>* reader,
                                         v1::UploadFileResponse* response) {
  const v1::UploadFileRequest unread;
  const auto upload = [&](const CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const auto transfer, Transfer::Begin(transfers_, *context, call));
    ASSIGN_OR_RETURN(storage::NewFile file, ReceiveFile(call, *reader));
    // A read that fails looks like the end of the data; half an archive must not pass for one.
    if (transfer->interrupted(*context)) return transfer->Interrupted();
    RETURN_IF_ERROR(CheckArchive(file.data, file.media_type));
    file.sha256 = auth::Sha256(file.data);
    ASSIGN_OR_RETURN(const lifecycle::FileId id, parts_.files.Put(file, call.deadline));
    call.Concerns("file", id.ToString(), "");
    response->set_file_id(id.ToString());
    response->set_sha256(absl::BytesToHexString(file.sha256));
    response->set_size_bytes(static_cast<int64_t>(file.data.size()));
    return absl::OkStatus();
  };
  return HandleCall(parts_.gate, context, "/coder.api.v1.TemplateService/UploadFile", unread,
                    upload);
}

grpc::Status TemplateService::DownloadTemplateVersion(
    grpc::ServerContext* context, const v1::DownloadTemplateVersionRequest* request,
    grpc::ServerWriter<v1::DownloadTemplateVersionResponse>* writer) {
  const auto download = [&](const CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const auto transfer, Transfer::Begin(transfers_, *context, call));
    ASSIGN_OR_RETURN(const storage::TemplateVersionRecord version,
                     LoadVersion(call, "template_version_id", request->template_version_id(),
                                 Action::kUpdateTemplate));
    ASSIGN_OR_RETURN(const std::string data, parts_.files.LoadSource(version.id, call.deadline));
    v1::DownloadTemplateVersionResponse message;
    for (size_t at = 0; at < data.size(); at += kMaxChunkBytes) {
      message.set_chunk(data.substr(at, kMaxChunkBytes));
      if (!writer->Write(message)) return transfer->Interrupted();
    }
    return absl::OkStatus();
  };
  return HandleCall(parts_.gate, context, "/coder.api.v1.TemplateService/DownloadTemplateVersion",
                    *request, download);
}

}  // namespace coder::api
