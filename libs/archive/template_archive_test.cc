#include "libs/archive/template_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace coder::archive {
namespace {

namespace fs = std::filesystem;

// One tar header, with everything that can be wrong about it.
struct Raw {
  std::string name;
  char type = '0';
  std::string content;
  unsigned mode = 0644;
  std::string link;
  // Written instead of the content's real size.
  std::string size_field;
};

std::string Octal(std::uint64_t value, int width) {
  char text[32];
  std::snprintf(text, sizeof(text), "%0*llo", width - 1, static_cast<unsigned long long>(value));
  return text;
}

std::string Entry(const Raw& raw) {
  std::string header(512, '\0');
  const auto put = [&header](std::size_t at, const std::string& text) {
    header.replace(at, text.size(), text);
  };
  put(0, raw.name.substr(0, 100));
  put(100, Octal(raw.mode, 8));
  put(108, Octal(0, 8));
  put(116, Octal(0, 8));
  put(124, raw.size_field.empty() ? Octal(raw.content.size(), 12) : raw.size_field);
  put(136, Octal(0, 12));
  put(156, std::string(1, raw.type));
  put(157, raw.link);
  put(257, std::string("ustar\0", 6) + "00");
  put(148, "        ");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, Octal(sum, 7) + std::string(1, '\0'));
  std::string content = raw.content;
  content.resize((content.size() + 511) / 512 * 512, '\0');
  return header + content;
}

std::string Pax(const std::string& key, const std::string& value, char type = 'x') {
  const std::size_t body = key.size() + value.size() + 3;
  std::size_t length = body + 1;
  while (std::to_string(length).size() + body != length) ++length;
  return Entry({.name = "PaxHeader",
                .type = type,
                .content = absl::StrCat(length, " ", key, "=", value, "\n")});
}

const std::string kEnd(1024, '\0');

std::string Tar(const std::vector<Raw>& entries) {
  std::string tar;
  for (const Raw& entry : entries) tar += Entry(entry);
  return tar + kEnd;
}

std::string Gzip(const std::string& bytes) {
  struct ::archive* writer = ::archive_write_new();
  REQUIRE(::archive_write_set_format_raw(writer) == ARCHIVE_OK);
  REQUIRE(::archive_write_add_filter_gzip(writer) == ARCHIVE_OK);
  std::string out(bytes.size() + 65536, '\0');
  std::size_t used = 0;
  REQUIRE(::archive_write_set_bytes_in_last_block(writer, 1) == ARCHIVE_OK);
  REQUIRE(::archive_write_open_memory(writer, out.data(), out.size(), &used) == ARCHIVE_OK);
  ::archive_entry* entry = ::archive_entry_new();
  ::archive_entry_set_filetype(entry, AE_IFREG);
  REQUIRE(::archive_write_header(writer, entry) == ARCHIVE_OK);
  REQUIRE(::archive_write_data(writer, bytes.data(), bytes.size()) >= 0);
  ::archive_entry_free(entry);
  REQUIRE(::archive_write_free(writer) == ARCHIVE_OK);
  out.resize(used);
  return out;
}

class TempDir {
 public:
  TempDir() {
    std::string pattern = "/tmp/archive.XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TempDir() { fs::remove_all(path_); }
  const std::string& path() const { return path_; }
  void Write(const std::string& name, const std::string& content) const {
    fs::create_directories(fs::path(path_ + "/" + name).parent_path());
    std::ofstream(path_ + "/" + name, std::ios::binary) << content;
  }

 private:
  std::string path_;
};

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Refused by both functions, with nothing written outside the directory.
void RequireRefused(const std::string& bytes, absl::StatusCode code, const std::string& rule,
                    const TemplateArchiveLimits& limits = {}) {
  const absl::Status checked = CheckTemplateArchive(bytes, limits).status();
  INFO(checked);
  CHECK(checked.code() == code);
  CHECK(absl::StrContains(checked.message(), rule));
  TempDir around;
  const std::string target = around.path() + "/target";
  REQUIRE(::mkdir(target.c_str(), 0700) == 0);
  CHECK(ExtractTemplateArchive(bytes, target, limits).status() == checked);
  std::size_t beside = 0;
  for ([[maybe_unused]] const auto& found : fs::directory_iterator(around.path())) ++beside;
  CHECK(beside == 1);
}

TEST_CASE("an ordinary template is unpacked with private modes") {
  const std::string tar = Tar({{.name = "./", .type = '5'},
                               {.name = "./main.tf", .content = "resource {}\n", .mode = 0644},
                               {.name = "scripts/", .type = '5', .mode = 0777},
                               {.name = "scripts/run.sh", .content = "#!/bin/sh\n", .mode = 0755},
                               {.name = "a/b/caf\xC3\xA9", .content = std::string(1000, 'x')}});
  for (const std::string& bytes : {tar, Gzip(tar)}) {
    TempDir dir;
    auto summary = ExtractTemplateArchive(bytes, dir.path());
    INFO(summary.status());
    REQUIRE(summary.ok());
    CHECK(summary->files == 3);
    CHECK(summary->directories == 2);
    CHECK(summary->extracted_bytes == 1022);
    CHECK(ReadAll(dir.path() + "/main.tf") == "resource {}\n");
    CHECK(ReadAll(dir.path() + "/a/b/caf\xC3\xA9").size() == 1000);
    struct stat info;
    REQUIRE(::stat((dir.path() + "/main.tf").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
    REQUIRE(::stat((dir.path() + "/scripts/run.sh").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0700);
    REQUIRE(::stat((dir.path() + "/scripts").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0700);
  }
}

TEST_CASE("long names in pax and GNU headers are read") {
  const std::string name = std::string(60, 'a') + "/" + std::string(90, 'b');
  for (const std::string& extension :
       {Pax("path", name),
        Entry({.name = "././@LongLink", .type = 'L', .content = name + std::string(1, '\0')})}) {
    TempDir dir;
    const std::string archive =
        absl::StrCat(extension, Entry({.name = name, .content = "x"}), kEnd);
    auto done = ExtractTemplateArchive(archive, dir.path());
    INFO(done.status());
    REQUIRE(done.ok());
    CHECK(ReadAll(dir.path() + "/" + name) == "x");
  }
}

TEST_CASE("hostile archives are refused with a reason") {
  struct Row {
    std::string what;
    std::string bytes;
    std::string rule;
  };
  const std::vector<Row> rows = {
      {"parent", Tar({{.name = "../evil"}}), "\"..\""},
      {"parent inside", Tar({{.name = "a/../../evil"}}), "\"..\""},
      {"absolute", Tar({{.name = "/tmp/archive-evil"}}), "absolute"},
      {"empty part", Tar({{.name = "a//b"}}), "empty or \".\" part"},
      {"dot part", Tar({{.name = "a/./b"}}), "empty or \".\" part"},
      {"no name", Tar({{.name = ""}}), "empty"},
      {"file named as directory", Tar({{.name = "a/", .type = '0'}}), "empty or \".\" part"},
      {"symlink", Tar({{.name = "l", .type = '2', .link = "/etc"}}), "symbolic link"},
      {"write through a symlink",
       Tar({{.name = "l", .type = '2', .link = ".."}, {.name = "l/evil", .content = "x"}}),
       "symbolic link"},
      {"hard link", Tar({{.name = "h", .type = '1', .link = "/etc/passwd"}}), "hard link"},
      {"character device", Tar({{.name = "c", .type = '3'}}), "device"},
      {"block device", Tar({{.name = "b", .type = '4'}}), "device"},
      {"fifo", Tar({{.name = "f", .type = '6'}}), "FIFO"},
      {"GNU sparse", Tar({{.name = "s", .type = 'S'}}), "sparse"},
      {"pax sparse", Pax("GNU.sparse.major", "1") + Tar({{.name = "s"}}), "sparse"},
      {"unknown type", Tar({{.name = "x", .type = 'Z'}}), "neither a file nor a directory"},
      {"setuid", Tar({{.name = "s", .mode = 04755}}), "set-user-id"},
      {"setgid directory", Tar({{.name = "s/", .type = '5', .mode = 02755}}), "set-group-id"},
      {"NUL", Pax("path", std::string("a\0b", 3)) + Tar({{.name = "a"}}), "NUL"},
      {"NUL in a long name",
       Entry({.name = "L", .type = 'L', .content = std::string("a\0b\0", 4)}) +
           Tar({{.name = "a"}}),
       "NUL"},
      {"not UTF-8", Tar({{.name = "a\xFF"}}), "not UTF-8"},
      {"overlong UTF-8", Tar({{.name = "a\xC0\xAF"}}), "not UTF-8"},
      {"surrogate", Tar({{.name = "a\xED\xA0\x80"}}), "not UTF-8"},
      {"control character", Tar({{.name = "a\nb"}}), "control character"},
      {"backslash", Tar({{.name = "..\\evil"}}), "backslash"},
      {"decomposed", Tar({{.name = "cafe\xCC\x81"}}), "NFC"},
      {"zero width", Tar({{.name = "a\xE2\x80\x8B"}}), "invisible"},
      {"twins", Tar({{.name = "Main.tf"}, {.name = "main.tf"}}), "only in case"},
      {"twins beyond ASCII", Tar({{.name = "\xC3\x89"}, {.name = "\xC3\xA9"}}), "only in case"},
      {"twin directories", Tar({{.name = "A/x"}, {.name = "a/y"}}), "only in case"},
      {"duplicate", Tar({{.name = "a"}, {.name = "a"}}), "there twice"},
      {"duplicate in other words", Tar({{.name = "a"}, {.name = "./a"}}), "there twice"},
      {"file as directory", Tar({{.name = "a"}, {.name = "a/b"}}), "both a file and a directory"},
      {"directory as file", Tar({{.name = "a/b"}, {.name = "a"}}), "both a file and a directory"},
      {"size that is too large", Entry({.name = "a", .size_field = Octal(5000, 12)}) + kEnd,
       "ends in the middle"},
      {"size that is no number", Entry({.name = "a", .size_field = "99999999999"}) + kEnd,
       "not an octal number"},
      {"binary size", Entry({.name = "a", .size_field = "\x80zzzzzzzzzzz"}) + kEnd,
       "not an octal number"},
      {"two sizes", Pax("size", "7") + Tar({{.name = "a", .content = "xyz"}}), "different sizes"},
      {"directory with content", Tar({{.name = "d/", .type = '5', .content = "x"}}),
       "directory with content"},
      {"global rename", Pax("path", "/etc/passwd", 'g') + Tar({{.name = "a"}}), "global header"},
      {"malformed record",
       Entry({.name = "P", .type = 'x', .content = "9999 path=x\n"}) + Tar({{.name = "a"}}),
       "malformed"},
      {"no end", Entry({.name = "a"}), "ends in the middle"},
      {"cut header", std::string(100, 'a'), "ends in the middle"},
      {"not a tar file", std::string(2048, 'a'), "checksum"},
      {"nothing", "", "ends in the middle"},
      {"cut gzip", Gzip(Tar({{.name = "a", .content = std::string(5000, 'x')}})).substr(0, 40),
       "gzip"},
      {"gzip in gzip", Gzip(Gzip(Tar({{.name = "a"}}))), "more than once"},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.what) {
      RequireRefused(row.bytes, absl::StatusCode::kInvalidArgument, row.rule);
    }
  }
}

TEST_CASE("limits hold exactly") {
  constexpr auto kFull = absl::StatusCode::kResourceExhausted;
  TemplateArchiveLimits limits;
  SECTION("bytes of the archive") {
    const std::string tar = Tar({{.name = "a"}});
    limits.max_archive_bytes = tar.size();
    CHECK(CheckTemplateArchive(tar, limits).ok());
    limits.max_archive_bytes = tar.size() - 1;
    RequireRefused(tar, kFull, "compress it or remove", limits);
  }
  SECTION("bytes of files") {
    limits.max_extracted_bytes = 10;
    CHECK(CheckTemplateArchive(
              Tar({{.name = "a", .content = "12345"}, {.name = "b", .content = "12345"}}), limits)
              .ok());
    RequireRefused(Tar({{.name = "a", .content = "12345"}, {.name = "b", .content = "123456"}}),
                   kFull, "all files together exceed 10", limits);
  }
  SECTION("entries") {
    limits.max_entries = 2;
    CHECK(CheckTemplateArchive(Tar({{.name = "a"}, {.name = "b"}}), limits).ok());
    RequireRefused(Tar({{.name = "a"}, {.name = "b"}, {.name = "c"}}), kFull, "more than 2",
                   limits);
    RequireRefused(Tar({{.name = "a/b/c"}}), kFull, "more than 2", limits);
  }
  SECTION("depth and length") {
    limits.max_depth = 2;
    limits.max_path_bytes = 5;
    CHECK(CheckTemplateArchive(Tar({{.name = "a/bcd"}}), limits).ok());
    RequireRefused(Tar({{.name = "a/b/c"}}), kFull, "levels deep", limits);
    RequireRefused(Tar({{.name = "abcdef"}}), kFull, "shorten it", limits);
  }
  SECTION("extended headers") {
    limits.max_entries = 1;
    RequireRefused(Entry({.name = "x", .type = 'x', .content = std::string(70'000, 'a')}) + kEnd,
                   kFull, "extended header", limits);
    RequireRefused(Pax("a", "b") + Pax("a", "b") + Pax("a", "b") + Tar({{.name = "a"}}), kFull,
                   "headers", limits);
  }
}

TEST_CASE("a bomb is given up at the limit") {
  std::string tar;
  for (int i = 0; i < 4; ++i) {
    tar += Entry({.name = absl::StrCat("zeros", i), .content = std::string(5 << 20, '\0')});
  }
  const std::string bomb = Gzip(tar + kEnd);
  REQUIRE(bomb.size() < 64 << 10);
  TemplateArchiveLimits limits;
  limits.max_extracted_bytes = 12 << 20;
  TempDir dir;
  CHECK(absl::IsResourceExhausted(ExtractTemplateArchive(bomb, dir.path(), limits).status()));
  std::uintmax_t written = 0;
  for (const auto& found : fs::directory_iterator(dir.path())) written += found.file_size();
  CHECK(written <= limits.max_extracted_bytes);
}

TEST_CASE("extraction does not follow a link that is already there") {
  TempDir dir, outside;
  REQUIRE(::symlink(outside.path().c_str(), (dir.path() + "/a").c_str()) == 0);
  CHECK(absl::IsInternal(
      ExtractTemplateArchive(Tar({{.name = "a/evil", .content = "x"}}), dir.path()).status()));
  CHECK(fs::is_empty(outside.path()));
}

TEST_CASE("packing is repeatable, leaves caches and states out, and round-trips") {
  TempDir dir;
  dir.Write("main.tf", "resource {}\n");
  dir.Write("modules/net/caf\xC3\xA9.tf", "x");
  dir.Write(".terraform.lock.hcl", "lock");
  dir.Write(".terraform/providers/p", "cache");
  dir.Write(".git/HEAD", "ref");
  dir.Write("terraform.tfstate", "secret");
  dir.Write("terraform.tfstate.backup", "secret");
  dir.Write("run.sh", "#!/bin/sh\n");
  REQUIRE(::chmod((dir.path() + "/run.sh").c_str(), 0755) == 0);
  auto packed = PackTemplate(dir.path());
  INFO(packed.status());
  REQUIRE(packed.ok());
  fs::last_write_time(dir.path() + "/main.tf", fs::file_time_type::min());
  CHECK(PackTemplate(dir.path()).value() == *packed);

  TempDir out;
  auto summary = ExtractTemplateArchive(*packed, out.path());
  REQUIRE(summary.ok());
  CHECK(summary->files == 4);
  CHECK(ReadAll(out.path() + "/modules/net/caf\xC3\xA9.tf") == "x");
  CHECK(ReadAll(out.path() + "/.terraform.lock.hcl") == "lock");
  CHECK(::access((out.path() + "/run.sh").c_str(), X_OK) == 0);
}

TEST_CASE("packing refuses what the server would refuse") {
  TempDir dir;
  SECTION("a link") {
    REQUIRE(::symlink("/etc/passwd", (dir.path() + "/l").c_str()) == 0);
    CHECK(absl::IsInvalidArgument(PackTemplate(dir.path()).status()));
  }
  SECTION("a FIFO") {
    REQUIRE(::mkfifo((dir.path() + "/f").c_str(), 0600) == 0);
    CHECK(absl::IsInvalidArgument(PackTemplate(dir.path()).status()));
  }
  SECTION("twins") {
    dir.Write("A", "");
    dir.Write("a", "");
    CHECK(absl::IsInvalidArgument(PackTemplate(dir.path()).status()));
  }
  SECTION("too much") {
    dir.Write("a", "123456");
    CHECK(absl::IsResourceExhausted(PackTemplate(dir.path(), {.max_extracted_bytes = 5}).status()));
  }
  SECTION("no directory") { CHECK(absl::IsNotFound(PackTemplate(dir.path() + "/none").status())); }
}

}  // namespace
}  // namespace coder::archive
