#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "libs/lifecycle/ids.h"
#include "libs/lifecycle/new_build.h"
#include "libs/pg/transaction.h"

namespace coder::storage {

/// Locks the row of `workspace` within `tx` and reads what CheckNewBuild decides a further build
/// from, but for the initiator's rights; version and parameters are those of the build that
/// `request` asks for. Holding this lock is what makes builds of a workspace follow one another.
/// Two round trips. NOT_FOUND when the workspace or the version asked for does not exist; otherwise
/// as Transaction::Execute.
absl::StatusOr<lifecycle::NewBuildContext> LockForNewBuild(pg::Transaction& tx,
                                                           const lifecycle::WorkspaceId& workspace,
                                                           lifecycle::BuildRequest request);

/// A further build of a workspace.
struct NewBuildOrder {
  lifecycle::WorkspaceId workspace;
  lifecycle::BuildRequest request;
};

/// Reads the same for many workspaces, each named once, whose rows the caller has locked in an
/// earlier statement of `tx`: one for each order, in order. Two round trips for all together.
/// Errors are those of LockForNewBuild, for the first workspace that has one.
absl::StatusOr<std::vector<lifecycle::NewBuildContext>> ReadForNewBuilds(
    pg::Transaction& tx, std::vector<NewBuildOrder> orders);

/// Reads the same for the first build of a workspace that `owner` is about to have: the template's
/// row is locked against change until `tx` ends. One round trip. NOT_FOUND when the template, which
/// may be deleted, or the version does not exist; otherwise as Transaction::Execute.
absl::StatusOr<lifecycle::NewBuildContext> LockForFirstBuild(
    pg::Transaction& tx, const lifecycle::TemplateId& template_id,
    const lifecycle::TemplateVersionId& version, lifecycle::AutomaticUpdates automatic_updates,
    lifecycle::BuildRequest request);

}  // namespace coder::storage
