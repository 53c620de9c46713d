#include "services/provisionerd/init_cache.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/metrics/single.h"
#include "services/provisionerd/copy_tree.h"

namespace coder::provisionerd {
namespace {

namespace fs = std::filesystem;

constexpr char kData[] = "/data";
constexpr char kLock[] = "/lock.hcl";

InitialisedFiles FilesIn(const std::string& folder) {
  return {.data_dir = folder + kData, .lock_file = folder + kLock};
}

absl::Status CopyFiles(const InitialisedFiles& from, const InitialisedFiles& to) {
  if (absl::Status copied = CopyTree(from.data_dir, to.data_dir); !copied.ok()) return copied;
  std::error_code ignored;
  if (!fs::exists(from.lock_file, ignored)) return absl::OkStatus();
  return CopyTree(from.lock_file, to.lock_file);
}

prometheus::Family<prometheus::Counter>& Lookups(prometheus::Registry& registry) {
  return prometheus::BuildCounter()
      .Name("coderd_provisionerd_init_cache_lookups_total")
      .Help(
          "Jobs by whether their version's initialised directory was kept. Many misses for few "
          "versions: raise --init-cache-entries or --init-cache-bytes.")
      .Register(registry);
}

}  // namespace

InitCache::Claim::Claim(Claim&& other) noexcept
    : cache_(std::exchange(other.cache_, nullptr)),
      version_(std::move(other.version_)),
      hit_(other.hit_) {}

InitCache::Claim::~Claim() {
  if (cache_ != nullptr && !hit_) cache_->Release(version_);
}

absl::Status InitCache::Claim::Keep(const InitialisedFiles& made) {
  if (cache_ == nullptr || hit_) return absl::OkStatus();
  return std::exchange(cache_, nullptr)->Add(version_, made);
}

InitCache::InitCache(InitCacheOptions options, prometheus::Registry& registry)
    : options_(std::move(options)),
      hits_(Lookups(registry).Add({{"result", "hit"}})),
      misses_(Lookups(registry).Add({{"result", "miss"}})),
      bytes_(metrics::AddGauge(
          registry, "coderd_provisionerd_init_cache_bytes",
          "Disk space the kept directories take. Stays below --init-cache-bytes.")) {}

absl::StatusOr<std::unique_ptr<InitCache>> InitCache::Create(InitCacheOptions options,
                                                             prometheus::Registry& registry) {
  std::error_code error;
  fs::remove_all(options.directory, error);
  if (!error) fs::create_directories(options.directory, error);
  if (!error) fs::permissions(options.directory, fs::perms::owner_all, error);
  if (error) {
    return absl::InternalError(absl::StrCat("make init-cache-dir ", options.directory, ": ",
                                            error.message(),
                                            "; choose another with --init-cache-dir"));
  }
  return std::unique_ptr<InitCache>(new InitCache(std::move(options), registry));
}

absl::StatusOr<InitCache::Claim> InitCache::Take(const std::string& version,
                                                 const InitialisedFiles& files,
                                                 const std::stop_token& interrupt,
                                                 const std::stop_token& kill) {
  const auto wake = [this] {
    // Taken so that a waiter is either before its look at the tokens or already asleep.
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  };
  const std::stop_callback on_interrupt(interrupt, wake);
  const std::stop_callback on_kill(kill, wake);
  std::unique_lock lock(mutex_);
  while (true) {
    if (interrupt.stop_requested() || kill.stop_requested()) {
      return absl::CancelledError("init: canceled while another job initialised the version");
    }
    const auto [it, fresh] = entries_.try_emplace(version);
    if (fresh) {
      misses_.Increment();
      return Claim(this, version, /*hit=*/false);
    }
    if (!it->second.making) break;
    changed_.wait(lock);
  }
  Entry& entry = entries_.at(version);
  const std::string folder = entry.folder;
  ++entry.readers;
  lock.unlock();
  const bool copied = CopyOut(folder, files);
  lock.lock();
  --entry.readers;
  entry.used = ++uses_;
  (copied ? hits_ : misses_).Increment();
  if (copied) return Claim(this, version, /*hit=*/true);
  if (entry.readers > 0) return Claim(nullptr, version, /*hit=*/false);
  // Made anew, lest every job of the version find it damaged.
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  entry = Entry{};
  return Claim(this, version, /*hit=*/false);
}

bool InitCache::CopyOut(const std::string& folder, const InitialisedFiles& files) {
  if (CopyFiles(FilesIn(folder), files).ok()) return true;
  // Half a copy is worse than none.
  std::error_code ignored;
  fs::remove_all(files.data_dir, ignored);
  fs::create_directory(files.data_dir, ignored);
  fs::remove(files.lock_file, ignored);
  return false;
}

absl::Status InitCache::Add(const std::string& version, const InitialisedFiles& made) {
  const std::int64_t bytes = TreeBytes(made.data_dir);
  absl::StatusOr<std::string> folder = std::string();
  if (bytes <= options_.max_bytes) folder = CopyIn(made);
  if (!folder.ok() || folder->empty()) {
    Release(version);
    return folder.status();
  }
  {
    const std::lock_guard lock(mutex_);
    entries_[version] = {
        .folder = *std::move(folder), .bytes = bytes, .used = ++uses_, .making = false};
  }
  changed_.notify_all();
  Evict();
  return absl::OkStatus();
}

absl::StatusOr<std::string> InitCache::CopyIn(const InitialisedFiles& made) {
  std::string folder;
  {
    const std::lock_guard lock(mutex_);
    folder = absl::StrCat(options_.directory, "/", ++folders_);
  }
  std::error_code error;
  fs::create_directories(folder + kData, error);
  if (error) return absl::InternalError(absl::StrCat("create ", folder, ": ", error.message()));
  if (absl::Status copied = CopyFiles(made, FilesIn(folder)); !copied.ok()) {
    fs::remove_all(folder, error);
    return copied;
  }
  return folder;
}

void InitCache::Release(const std::string& version) {
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(version);
  if (it != entries_.end() && it->second.making) entries_.erase(it);
  changed_.notify_all();
}

void InitCache::Evict() {
  std::vector<std::string> folders;
  {
    const std::lock_guard lock(mutex_);
    const auto kept = [](const auto& item) { return !item.second.making; };
    const auto over = [&] {
      std::int64_t bytes = 0;
      for (const auto& [version, entry] : entries_) bytes += entry.bytes;
      bytes_.Set(static_cast<double>(bytes));
      return bytes > options_.max_bytes ||
             std::count_if(entries_.begin(), entries_.end(), kept) > options_.max_entries;
    };
    while (over()) {
      auto oldest = entries_.end();
      for (auto it = entries_.begin(); it != entries_.end(); ++it) {
        if (it->second.making || it->second.readers > 0) continue;
        if (oldest == entries_.end() || it->second.used < oldest->second.used) oldest = it;
      }
      // What is being copied goes when the next version comes.
      if (oldest == entries_.end()) break;
      folders.push_back(oldest->second.folder);
      entries_.erase(oldest);
    }
  }
  std::error_code ignored;
  for (const std::string& folder : folders) fs::remove_all(folder, ignored);
}

}  // namespace coder::provisionerd
