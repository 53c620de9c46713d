#pragma once

#include <google/protobuf/field_mask.pb.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coder/api/v1/template.pb.h"
#include "libs/crypto/keyring.h"
#include "libs/storage/template_records.h"

namespace coder::api {

/// What a template variable's sealed value is, for Keyring.
inline constexpr char kTemplateVariablePurpose[] = "template-variable";

v1::Template TemplateToProto(const storage::TemplateRecord& record);
v1::TemplateVersion VersionToProto(const storage::TemplateVersionRecord& record);
v1::TemplateVersionParameter ParameterToProto(const storage::ParameterRecord& record);

/// The text of a revision that an update may ask for.
std::string EtagOf(const storage::TemplateRecord& record);

/// Takes the field an update mask's path names from `from`. INVALID_ARGUMENT with a violation of
/// `update_mask` for a path nobody may set.
absl::Status SetTemplateField(const std::string& path, const v1::Template& from,
                              storage::TemplateSettings& settings);

/// The settings with what `mask` names taken from `from`, as a whole acceptable.
/// INVALID_ARGUMENT with a violation of `update_mask` for an empty mask or a path nobody may set,
/// else of the unacceptable field.
absl::StatusOr<storage::TemplateSettings> WithUpdate(storage::TemplateSettings settings,
                                                     const v1::Template& from,
                                                     const google::protobuf::FieldMask& mask);

/// A new template in all but its ids of its own and its creator. INVALID_ARGUMENT with a violation
/// of the unacceptable field.
absl::StatusOr<storage::NewTemplate> NewTemplateFromProto(const v1::CreateTemplateRequest& request);

/// A new version in all but its own ids, its creator and, when the request has none, its name; the
/// tags are as requested and the variables sealed. INVALID_ARGUMENT with a violation of the
/// unacceptable field.
absl::StatusOr<storage::NewTemplateVersion> NewVersionFromProto(
    const v1::CreateTemplateVersionRequest& request, const crypto::Keyring& keyring);

}  // namespace coder::api
