#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/coderctl/session.h"
#include "libs/archive/file_pack.h"

namespace coder::cli {

/// What a support bundle is to hold.
struct BundlePlan {
  /// Admin ports of services, as host:port or http://host:port.
  std::vector<std::string> admin;
  /// Failed jobs with their logs, of each organization.
  int failed_jobs = 10;
  size_t log_lines = 200;
  /// Of one admin page.
  absl::Duration page_timeout = absl::Seconds(10);
};

/// What the bundle will hold, for a person to read before it is made.
std::string BundleContents(const BundlePlan& plan);

/// The files of a bundle, every secret that can be told taken out.
class SupportBundle {
 public:
  /// Asks for everything; what cannot be read is noted in the manifest and is no error. The session
  /// must outlive the bundle.
  SupportBundle(const Session& session, BundlePlan plan, absl::Time now);

  /// manifest.json first: what there is and what could not be read, and why.
  const std::vector<archive::MemoryFile>& files() const { return files_; }
  /// Names of what could not be read, and why.
  const std::vector<std::pair<std::string, std::string>>& missing() const { return missing_; }

 private:
  void Add(const std::string& name, const std::string& content);
  void AddMessage(const std::string& name, const google::protobuf::Message& message);
  void Miss(const std::string& name, const absl::Status& status);
  void AddDeployment();
  void AddHealth();
  void AddOrganizations();
  void AddOrganization(const std::string& id, const std::string& name);
  void AddOwnFailures();
  void AddFailure(const std::string& job_id, const std::string& build_id);
  void AddAdmin(const std::string& base);
  /// The page's text; empty when it could not be read, which is noted.
  std::string AddAdminPage(const std::string& base, const std::string& folder,
                           const std::string& path);
  void AddManifest(absl::Time now);

  const Session& session_;
  const BundlePlan plan_;
  std::vector<archive::MemoryFile> files_;
  std::vector<std::pair<std::string, std::string>> missing_;
};

}  // namespace coder::cli
