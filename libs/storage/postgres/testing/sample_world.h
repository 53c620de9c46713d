#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "libs/lifecycle/ids.h"
#include "libs/pg/pool.h"
#include "libs/pg/result.h"
#include "libs/storage/postgres/testing/sample_identities.h"

namespace coder::storage {

/// Rows that tests of workspaces and builds stand on, written by SQL: an organization, two members,
/// and an echo template whose only version was imported. Ends the process with a sentence when a
/// statement fails. Thread-safe but for its construction.
class SampleWorld {
 public:
  /// Fills the database behind `pool`, which must be migrated and empty.
  explicit SampleWorld(pg::Pool& pool);

  /// A workspace of `owner` without any build.
  lifecycle::WorkspaceId AddWorkspace(const std::string& name);
  lifecycle::WorkspaceId AddWorkspace(const std::string& name, const lifecycle::UserId& owner);

  /// The next build of a workspace, with a pending job, as its latest. No event is written.
  lifecycle::BuildId AddBuild(const lifecycle::WorkspaceId& workspace,
                              const std::string& transition = "start");

  /// Another member of the organization.
  lifecycle::UserId AddUser(const std::string& username);

  /// Another version of the template; its import has status "succeeded", "pending" or "failed".
  lifecycle::TemplateVersionId AddVersion(const std::string& name,
                                          const std::string& import_status = "succeeded");

  /// Moves a build's job to "running", "succeeded", "failed" or "canceled" as of now.
  void MoveJob(const lifecycle::BuildId& build, const std::string& status);

  /// The status of a job, as the database writes it.
  std::string JobStatus(const std::string& job_id);

  /// A daemon of the organization without tags, for one job at a time and with a key of its own;
  /// it was last seen this long ago.
  lifecycle::ProvisionerDaemonId AddDaemon(absl::Duration seen_ago = absl::ZeroDuration());

  /// Runs a statement as the superuser.
  pg::Result Run(const std::string& sql, std::vector<pg::Param> params = {}) {
    return identities.Run(sql, std::move(params));
  }

  /// A new id of any kind.
  template <typename Id>
  Id NewId() {
    return identities.NewId<Id>();
  }

  /// Who else there is to be: sessions, keys and roles.
  SampleIdentities identities;
  lifecycle::OrganizationId organization;
  lifecycle::UserId owner;
  lifecycle::UserId other;
  lifecycle::FileId file;
  lifecycle::TemplateId template_id;
  lifecycle::TemplateVersionId version;
};

}  // namespace coder::storage
