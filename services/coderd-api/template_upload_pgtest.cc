#include <archive.h>
#include <archive_entry.h>

#include <cstdio>

#include "absl/strings/escaping.h"
#include "libs/auth/token.h"
#include "libs/testing/matchers.h"
#include "services/coderd-api/template_service_fixture.h"

namespace coder::api {
namespace {

using absl::StatusCode;
using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;

struct Entry {
  std::string name;
  std::string content;
  int type = AE_IFREG;
  std::string link;
};

std::string Tar(const std::vector<Entry>& entries, bool gzip = false) {
  std::vector<char> buffer(16 << 20);
  size_t used = 0;
  ::archive* writer = archive_write_new();
  archive_write_set_format_ustar(writer);
  if (gzip) archive_write_add_filter_gzip(writer);
  archive_write_open_memory(writer, buffer.data(), buffer.size(), &used);
  for (const Entry& entry : entries) {
    archive_entry* header = archive_entry_new();
    archive_entry_set_pathname(header, entry.name.c_str());
    archive_entry_set_filetype(header, entry.type);
    archive_entry_set_perm(header, 0644);
    archive_entry_set_size(header, static_cast<int64_t>(entry.content.size()));
    if (!entry.link.empty()) archive_entry_set_symlink(header, entry.link.c_str());
    REQUIRE(archive_write_header(writer, header) == ARCHIVE_OK);
    archive_write_data(writer, entry.content.data(), entry.content.size());
    archive_entry_free(header);
  }
  REQUIRE(archive_write_close(writer) == ARCHIVE_OK);
  archive_write_free(writer);
  return std::string(buffer.data(), used);
}

TEST_CASE("an archive is stored once for its uploader, plain or gzip, in chunks of any size") {
  TemplateServiceFixture f;
  const std::string tar = Tar({{"main.tf", "resource {}"}, {"lib/a.tf", std::string(200000, 'a')}});
  const auto first = f.Upload(f.admin, tar);
  REQUIRE_THAT(first, IsOk());
  CHECK(first->size_bytes() == static_cast<int64_t>(tar.size()));
  CHECK(first->sha256() == absl::BytesToHexString(auth::Sha256(tar)));
  CHECK(f.Upload(f.admin, tar, "application/x-tar", 777).value().file_id() == first->file_id());
  CHECK(f.Upload(f.organization_admin, tar).value().file_id() != first->file_id());
  CHECK_THAT(f.Upload(f.admin, Tar({{"main.tf", "x"}}, true), "application/gzip"), IsOk());
}

TEST_CASE("what is no honest template archive is refused by name and never stored") {
  TemplateServiceFixture f;
  struct Row {
    std::string name;
    std::string data;
    std::string says;
  };
  const std::string good = Tar({{"main.tf", std::string(5000, 'x')}});
  const Row rows[] = {
      {"a parent directory", Tar({{"../evil.tf", "x"}}), "evil.tf"},
      {"an absolute name", Tar({{"/etc/passwd", "x"}}), "passwd"},
      {"a symbolic link", Tar({{"link.tf", "", AE_IFLNK, "/etc/passwd"}}), "link.tf"},
      {"a device", Tar({{"null", "", AE_IFCHR}}), "null"},
      {"two of one name", Tar({{"a.tf", "1"}, {"A.tf", "2"}}), "tf"},
      {"no archive", "hello", ""},
      {"half an archive", good.substr(0, 2000), ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const auto refused = f.Upload(f.admin, row.data);
    CHECK_THAT(refused, StatusIs(StatusCode::kInvalidArgument, row.says));
    CHECK(Reason(refused.status()) == "ARCHIVE_REFUSED");
  }
  const auto mislabelled = f.Upload(f.admin, good, "application/gzip");
  CHECK(Reason(mislabelled.status()) == "ARCHIVE_REFUSED");
  CHECK(f.world.Run("SELECT count(*) FROM files").Get<int64_t>(0, 0) == 1);
}

TEST_CASE("an archive that is too large, packed or unpacked, is refused by its limit") {
  TemplateServiceFixture f;
  const auto bomb = f.Upload(f.admin, Tar({{"zeros", std::string((100 << 20) + 1, '\0')}}, true),
                             "application/gzip");
  CHECK_THAT(bomb, StatusIs(StatusCode::kResourceExhausted));
  CHECK(Reason(bomb.status()) == "ARCHIVE_TOO_LARGE");

  const auto oversize = f.Upload(f.admin, Tar({{"big", std::string((10 << 20) + 1, 'x')}}));
  CHECK_THAT(oversize, StatusIs(StatusCode::kResourceExhausted, "10485760"));
  CHECK(Reason(oversize.status()) == "ARCHIVE_TOO_LARGE");
  CHECK(f.world.Run("SELECT count(*) FROM files").Get<int64_t>(0, 0) == 1);
}

TEST_CASE("an upload keeps its form") {
  TemplateServiceFixture f;
  const std::string tar = Tar({{"main.tf", std::string(100000, 'x')}});
  CHECK(Field(f.Upload(f.admin, tar, "text/plain").status()) == "info.media_type");
  CHECK(Field(f.Upload(f.admin, tar, "application/x-tar", 65537).status()) == "chunk");

  grpc::ClientContext context;
  f.Prepare(context, f.admin);
  v1::UploadFileResponse response;
  const auto writer = f.stub->UploadFile(&context, &response);
  v1::UploadFileRequest message;
  message.set_chunk("data before the info");
  writer->Write(message);
  writer->WritesDone();
  CHECK(Field(server::StatusFromGrpc(writer->Finish())) == "info");
}

TEST_CASE("only who may make templates in the organization uploads to it") {
  TemplateServiceFixture f;
  const std::string tar = Tar({{"main.tf", "x"}});
  CHECK_THAT(f.Upload(f.organization_admin, tar), IsOk());
  CHECK_THAT(f.Upload(f.member, tar), StatusIs(StatusCode::kPermissionDenied));
  CHECK_THAT(f.Upload(f.stranger, tar), StatusIs(StatusCode::kNotFound));
  CHECK_THAT(f.Upload("", tar), StatusIs(StatusCode::kUnauthenticated));
}

TEST_CASE("clients that stall are cut off at the longest deadline and give their places back") {
  TemplateServiceFixture f(absl::Seconds(3));
  const std::string tar = Tar({{"main.tf", "x"}});
  struct Stalled {
    grpc::ClientContext context;
    v1::UploadFileResponse response;
    std::unique_ptr<grpc::ClientWriter<v1::UploadFileRequest>> writer;
  };
  std::vector<Stalled> stalled(TemplateService::kMaxTransfers + 1);
  for (Stalled& upload : stalled) {
    f.Prepare(upload.context, f.admin);
    upload.writer = f.stub->UploadFile(&upload.context, &upload.response);
    v1::UploadFileRequest info;
    info.mutable_info()->set_media_type("application/x-tar");
    info.mutable_info()->set_organization_id(f.world.organization.ToString());
    upload.writer->Write(info);
  }
  int refused = 0;
  for (Stalled& upload : stalled) {
    const absl::Status ended = server::StatusFromGrpc(upload.writer->Finish());
    if (absl::IsResourceExhausted(ended)) {
      ++refused;
      CHECK(status::RetryAfterOf(ended).has_value());
    } else {
      CHECK_THAT(ended, StatusIs(StatusCode::kCancelled));
    }
  }
  CHECK(refused == 1);
  // The server may see the last one end a moment after its client.
  absl::StatusOr<v1::UploadFileResponse> after = f.Upload(f.admin, tar);
  while (absl::IsResourceExhausted(after.status())) after = f.Upload(f.admin, tar);
  CHECK_THAT(after, IsOk());
}

TEST_CASE("the archive of a version comes back as it was sent, to those who may change it") {
  TemplateServiceFixture f;
  const std::string tar = Tar({{"main.tf", std::string(300000, 'x')}});
  v1::CreateTemplateVersionRequest request;
  request.set_organization_id(f.world.organization.ToString());
  request.set_file_id(f.Upload(f.admin, tar).value().file_id());
  request.set_provisioner("echo");
  const auto made = f.Call(&v1::TemplateService::Stub::CreateTemplateVersion, f.admin, request);
  REQUIRE_THAT(made, IsOk());
  const auto download = [&](const std::string& token, std::string& data) {
    grpc::ClientContext context;
    f.Prepare(context, token);
    v1::DownloadTemplateVersionRequest wanted;
    wanted.set_template_version_id(made->template_version().id());
    const auto reader = f.stub->DownloadTemplateVersion(&context, wanted);
    v1::DownloadTemplateVersionResponse message;
    while (reader->Read(&message)) {
      CHECK(message.chunk().size() <= TemplateService::kMaxChunkBytes);
      data += message.chunk();
    }
    return server::StatusFromGrpc(reader->Finish());
  };
  std::string data;
  REQUIRE_THAT(download(f.organization_admin, data), IsOk());
  CHECK(data == tar);
  CHECK_THAT(download(f.member, data), StatusIs(StatusCode::kPermissionDenied));
  CHECK_THAT(download(f.stranger, data), StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace coder::api
