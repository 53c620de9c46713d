#pragma once

#include <compare>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "libs/ids/uuid.h"

namespace coder::lifecycle {

/// A uuid that says whose it is, so that two ids cannot change places. `Kind` names the thing in
/// error texts (`Kind::kName`).
template <typename Kind>
class Id {
 public:
  /// The nil id: none.
  constexpr Id() = default;
  constexpr explicit Id(const ids::Uuid& uuid) : uuid_(uuid) {}

  /// Reads the 36-character form. INVALID_ARGUMENT, naming the kind of id, for anything else and
  /// for the nil value.
  static absl::StatusOr<Id> Parse(absl::string_view text) {
    absl::StatusOr<ids::Uuid> uuid = ids::Uuid::Parse(text);
    if (!uuid.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("parse ", Kind::kName, " id: ", uuid.status().message()));
    }
    if (uuid->IsNil()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "parse ", Kind::kName, " id: the nil uuid names nothing; use the id the server gave"));
    }
    return Id(*uuid);
  }

  /// The 36-character lower-case form.
  std::string ToString() const { return uuid_.ToString(); }
  const ids::Uuid& uuid() const { return uuid_; }
  bool IsNil() const { return uuid_.IsNil(); }

  friend auto operator<=>(const Id&, const Id&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Id& id) {
    return H::combine(std::move(h), id.uuid_);
  }

 private:
  ids::Uuid uuid_;
};

namespace id_kind {
struct Organization {
  static constexpr absl::string_view kName = "organization";
};
struct User {
  static constexpr absl::string_view kName = "user";
};
struct ApiKey {
  static constexpr absl::string_view kName = "api key";
};
struct Template {
  static constexpr absl::string_view kName = "template";
};
struct TemplateVersion {
  static constexpr absl::string_view kName = "template version";
};
struct Workspace {
  static constexpr absl::string_view kName = "workspace";
};
struct Build {
  static constexpr absl::string_view kName = "build";
};
struct Job {
  static constexpr absl::string_view kName = "job";
};
struct File {
  static constexpr absl::string_view kName = "file";
};
struct ProvisionerDaemon {
  static constexpr absl::string_view kName = "provisioner daemon";
};
struct ProvisionerKey {
  static constexpr absl::string_view kName = "provisioner key";
};
struct LeaseToken {
  static constexpr absl::string_view kName = "lease token";
};
struct Resource {
  static constexpr absl::string_view kName = "resource";
};
struct Agent {
  static constexpr absl::string_view kName = "agent";
};
struct Blackout {
  static constexpr absl::string_view kName = "blackout";
};
}  // namespace id_kind

using OrganizationId = Id<id_kind::Organization>;
using UserId = Id<id_kind::User>;
using ApiKeyId = Id<id_kind::ApiKey>;
using TemplateId = Id<id_kind::Template>;
using TemplateVersionId = Id<id_kind::TemplateVersion>;
using WorkspaceId = Id<id_kind::Workspace>;
using BuildId = Id<id_kind::Build>;
using JobId = Id<id_kind::Job>;
using FileId = Id<id_kind::File>;
using ProvisionerDaemonId = Id<id_kind::ProvisionerDaemon>;
using ProvisionerKeyId = Id<id_kind::ProvisionerKey>;
using LeaseToken = Id<id_kind::LeaseToken>;
using ResourceId = Id<id_kind::Resource>;
using AgentId = Id<id_kind::Agent>;
using BlackoutId = Id<id_kind::Blackout>;

}  // namespace coder::lifecycle
