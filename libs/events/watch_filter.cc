#include "libs/events/watch_filter.h"

namespace coder::events {
namespace {

bool Holds(const absl::flat_hash_set<std::string>& set, std::string_view id) {
  return set.contains(absl::string_view(id.data(), id.size()));
}

bool Asks(const absl::flat_hash_set<std::string>& set, std::string_view id) {
  return set.empty() || Holds(set, id);
}

bool Asks(const absl::flat_hash_set<int>& set, int value) {
  return set.empty() || set.contains(value);
}

}  // namespace

bool WatchFilter::AdmitsAll() const {
  return organization_ids.empty() && owner_ids.empty() && template_ids.empty() &&
         workspace_ids.empty() && transitions.empty() && job_statuses.empty() && reasons.empty();
}

bool WatchFilter::Admits(const EventKeys& keys) const {
  return Asks(organization_ids, keys.organization_id) && Asks(owner_ids, keys.owner_id) &&
         Asks(template_ids, keys.template_id) && Asks(workspace_ids, keys.workspace_id) &&
         Asks(transitions, keys.transition) && Asks(job_statuses, keys.job_status) &&
         Asks(reasons, keys.reason);
}

bool WatchRights::Admits(const EventKeys& keys) const {
  if (everything || Holds(organization_ids, keys.organization_id)) return true;
  return !owner_id.empty() && keys.owner_id == owner_id &&
         Holds(owner_organization_ids, keys.organization_id);
}

}  // namespace coder::events
