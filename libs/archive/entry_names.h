#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/archive/template_archive.h"

namespace coder::archive {

// The name rules of template archives, over all entries of one archive. One thread at a time.
class EntryNames {
 public:
  explicit EntryNames(const TemplateArchiveLimits& limits) : limits_(limits) {}

  // Checks one entry's name as written and returns it in plain form: without "./" in front and, for
  // a directory, without "/" at the end; empty for the top directory itself. Errors as in
  // template_archive.h.
  absl::StatusOr<std::string> Add(const std::string& written, bool is_directory);

 private:
  enum class Kind { kFile, kDirectory, kImpliedDirectory };
  struct Seen {
    std::string name;
    Kind kind;
  };
  absl::Status Remember(const std::string& name, Kind kind);

  const TemplateArchiveLimits& limits_;
  std::map<std::string, Seen> seen_;  // by case-folded name
};

// The name between quotes, with what is not printable ASCII escaped and at most 100 bytes of it.
std::string Quoted(const std::string& name);

}  // namespace coder::archive
