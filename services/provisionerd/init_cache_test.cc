#include "services/provisionerd/init_cache.h"

#include <prometheus/registry.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>
#include <string>
#include <vector>

namespace coder::provisionerd {
namespace {

namespace fs = std::filesystem;

// A cache and the directories of jobs, below one folder.
struct Fixture {
  explicit Fixture(InitCacheOptions options = {}) {
    std::string pattern = "/tmp/cache.XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    root = pattern;
    options.directory = root / "cache";
    auto made = InitCache::Create(options, registry);
    REQUIRE(made.ok());
    cache = *std::move(made);
  }
  ~Fixture() { fs::remove_all(root); }

  // The files of a job with an empty data directory.
  InitialisedFiles Job() {
    const fs::path job = root / std::to_string(++jobs);
    fs::create_directories(job / "data");
    return {.data_dir = job / "data", .lock_file = job / "lock"};
  }
  absl::StatusOr<InitCache::Claim> Take(const std::string& version, const InitialisedFiles& files) {
    return cache->Take(version, files, interrupt.get_token(), kill.get_token());
  }
  // Plays `init`: a provider of so many bytes, a link to another, and the lock file.
  static void Initialise(const InitialisedFiles& files, const std::string& content) {
    fs::create_directories(files.data_dir + "/providers/x");
    std::ofstream(files.data_dir + "/providers/x/provider") << content;
    fs::create_symlink("/mirror/y", files.data_dir + "/providers/y");
    std::ofstream(files.lock_file) << "locked " << content;
  }
  // Takes the version and initialises it unless it is kept; whether it was.
  bool Use(const std::string& version, const std::string& content = "provider") {
    const InitialisedFiles files = Job();
    auto claim = Take(version, files);
    REQUIRE(claim.ok());
    if (claim->hit()) return true;
    Initialise(files, content);
    REQUIRE(claim->Keep(files).ok());
    return false;
  }
  std::size_t Folders() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(root / "cache"), fs::directory_iterator()));
  }

  fs::path root;
  prometheus::Registry registry;
  std::unique_ptr<InitCache> cache;
  std::stop_source interrupt, kill;
  int jobs = 0;
};

std::string Read(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_CASE("the second job of a version gets what the first one made, as a copy of its own") {
  Fixture f;
  CHECK_FALSE(f.Use("v1", "provider"));
  const InitialisedFiles second = f.Job();
  REQUIRE(f.Take("v1", second)->hit());
  CHECK(Read(second.data_dir + "/providers/x/provider") == "provider");
  CHECK(fs::read_symlink(second.data_dir + "/providers/y") == "/mirror/y");
  CHECK(Read(second.lock_file) == "locked provider");
  std::ofstream(second.data_dir + "/providers/x/provider") << "changed";
  const InitialisedFiles third = f.Job();
  REQUIRE(f.Take("v1", third)->hit());
  CHECK(Read(third.data_dir + "/providers/x/provider") == "provider");
  CHECK_FALSE(f.Use("v2"));
}

TEST_CASE("jobs of one version wait for the one that initialises it") {
  Fixture f;
  const InitialisedFiles first = f.Job(), second = f.Job();
  auto claim = f.Take("v1", first);
  REQUIRE_FALSE(claim->hit());
  auto waiting = std::async(std::launch::async, [&] { return f.Take("v1", second)->hit(); });
  SECTION("and get its work") {
    Fixture::Initialise(first, "provider");
    REQUIRE(claim->Keep(first).ok());
    CHECK(waiting.get());
    CHECK(Read(second.lock_file) == "locked provider");
  }
  SECTION("and take over when it was interrupted") {
    { const auto dropped = *std::move(claim); }
    CHECK_FALSE(waiting.get());
  }
  SECTION("other versions do not wait") {
    CHECK_FALSE(f.Use("v2"));
    { const auto dropped = *std::move(claim); }
    CHECK_FALSE(waiting.get());
  }
}

TEST_CASE("a canceled job does not wait") {
  Fixture f;
  const InitialisedFiles first = f.Job(), second = f.Job();
  const auto claim = f.Take("v1", first);
  auto waiting = std::async(std::launch::async, [&] { return f.Take("v1", second).status(); });
  SECTION("interrupted") { f.interrupt.request_stop(); }
  SECTION("killed") { f.kill.request_stop(); }
  CHECK(absl::IsCancelled(waiting.get()));
}

TEST_CASE("the longest unused go first") {
  SECTION("by number") {
    Fixture f({.max_entries = 2});
    f.Use("v1");
    f.Use("v2");
    CHECK(f.Use("v1"));
    f.Use("v3");
    CHECK(f.Folders() == 2);
    CHECK(f.Use("v1"));
    CHECK_FALSE(f.Use("v2"));
  }
  SECTION("by bytes") {
    Fixture f({.max_bytes = 10});
    f.Use("v1", "four");
    f.Use("v2", "four");
    f.Use("v3", "four");
    CHECK(f.Folders() == 2);
    CHECK_FALSE(f.Use("v1", "four"));
  }
  SECTION("and what is larger than all room is not kept") {
    Fixture f({.max_bytes = 10});
    f.Use("v1", "four");
    CHECK_FALSE(f.Use("v2", "eleven byte"));
    CHECK_FALSE(f.Use("v2", "eleven byte"));
    CHECK(f.Use("v1"));
  }
}

TEST_CASE("a damaged copy is not used, nor what an earlier process left") {
  Fixture f;
  f.Use("v1");
  for (const auto& entry : fs::directory_iterator(f.root / "cache")) fs::remove_all(entry);
  const InitialisedFiles files = f.Job();
  CHECK_FALSE(f.Take("v1", files)->hit());
  CHECK(fs::is_empty(files.data_dir));
  CHECK_FALSE(f.Use("v1"));
  CHECK(f.Use("v1"));
  std::ofstream(f.root / "cache" / "left") << "by another";
  prometheus::Registry registry;
  REQUIRE(InitCache::Create({.directory = f.root / "cache"}, registry).ok());
  CHECK(f.Folders() == 0);
}

}  // namespace
}  // namespace coder::provisionerd
