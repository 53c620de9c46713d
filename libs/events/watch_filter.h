#pragma once

#include <string>

#include "absl/container/flat_hash_set.h"
#include "libs/events/pack.h"

namespace coder::events {

// Which events a watch asked for. An empty set asks for all; sets are combined with "and". Ids are
// in the 36-character lower-case form; numbers are those of build_event.proto's enums.
struct WatchFilter {
  absl::flat_hash_set<std::string> organization_ids;
  absl::flat_hash_set<std::string> owner_ids;
  absl::flat_hash_set<std::string> template_ids;
  absl::flat_hash_set<std::string> workspace_ids;
  absl::flat_hash_set<int> transitions;
  absl::flat_hash_set<int> job_statuses;
  absl::flat_hash_set<int> reasons;

  // True when every set is empty.
  bool AdmitsAll() const;
  // Whether an event with these keys was asked for.
  bool Admits(const EventKeys& keys) const;
};

// Which events a caller may see, as of one moment. Immutable once shared.
struct WatchRights {
  // Every event of the deployment.
  bool everything = false;
  // Every event of these organizations.
  absl::flat_hash_set<std::string> organization_ids;
  // Every event of this owner's workspaces; empty for none.
  std::string owner_id;
  // The organizations in which `owner_id` counts; left empty, it counts in none.
  absl::flat_hash_set<std::string> owner_organization_ids;

  // Whether an event with these keys may be shown.
  bool Admits(const EventKeys& keys) const;
};

}  // namespace coder::events
