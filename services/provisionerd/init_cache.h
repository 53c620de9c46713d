#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coder::provisionerd {

/// Where initialised directories are kept, and how many.
struct InitCacheOptions {
  /// The cache's own folder; what is in it is deleted at start.
  std::string directory;
  /// Most versions kept, and most bytes of them together; the longest unused go first.
  int max_entries = 32;
  std::int64_t max_bytes = std::int64_t{2} << 30;
};

/// What an engine's `init` makes of a template.
struct InitialisedFiles {
  /// Providers and modules.
  std::string data_dir;
  /// The providers' versions and checksums; may be absent.
  std::string lock_file;
};

/// Keeps what `init` made of a template version, so that it is paid once per daemon and version.
/// Jobs get and give copies: none sees another's changes. Filled by this process alone and empty at
/// its start, so that what an interrupted copy, an older engine or another organization left is
/// never used. Safe to call from many threads.
class InitCache {
 public:
  /// A job's turn at one version. While it is a miss and alive, other jobs of the version wait.
  class Claim {
   public:
    Claim(Claim&& other) noexcept;
    Claim& operator=(Claim&&) = delete;
    ~Claim();

    /// The files are in place; `init` need not run.
    bool hit() const { return hit_; }

    /// Keeps a copy of what `init` made for this claim's version, if there is room for it.
    /// INTERNAL if the file system refuses; the job can go on without.
    absl::Status Keep(const InitialisedFiles& made);

   private:
    friend class InitCache;
    Claim(InitCache* cache, std::string version, bool hit)
        : cache_(cache), version_(std::move(version)), hit_(hit) {}

    InitCache* cache_;
    std::string version_;
    bool hit_;
  };

  /// Makes the folder, empty. The registry must outlive the cache. INTERNAL if the file system
  /// refuses.
  static absl::StatusOr<std::unique_ptr<InitCache>> Create(InitCacheOptions options,
                                                           prometheus::Registry& registry);

  /// Copies the version's files to `files`, whose data directory must be empty, or makes the caller
  /// the one to initialise it. Waits while another job does, until `interrupt` or `kill`:
  /// CANCELLED.
  absl::StatusOr<Claim> Take(const std::string& version, const InitialisedFiles& files,
                             const std::stop_token& interrupt, const std::stop_token& kill);

 private:
  /// One version's copy. It is not evicted while `readers` copy it.
  struct Entry {
    std::string folder;
    std::int64_t bytes = 0;
    std::uint64_t used = 0;
    int readers = 0;
    bool making = true;
  };

  InitCache(InitCacheOptions options, prometheus::Registry& registry);

  // False if the copy could not be made; `files` are as before then.
  static bool CopyOut(const std::string& folder, const InitialisedFiles& files);
  // The folder of the copy.
  absl::StatusOr<std::string> CopyIn(const InitialisedFiles& made);
  absl::Status Add(const std::string& version, const InitialisedFiles& made);
  // Whoever made or failed to make the version is done with it.
  void Release(const std::string& version);
  // Takes entries out until the bounds hold and deletes them.
  void Evict();

  const InitCacheOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Entry> entries_;
  std::uint64_t uses_ = 0;
  std::uint64_t folders_ = 0;
  prometheus::Counter& hits_;
  prometheus::Counter& misses_;
  prometheus::Gauge& bytes_;
};

}  // namespace coder::provisionerd
