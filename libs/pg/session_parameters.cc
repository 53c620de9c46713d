#include "libs/pg/session_parameters.h"

#include <libpq-fe.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status_macros.h"

namespace coder::pg {
namespace {

std::string WholeSeconds(absl::Duration duration) {
  return absl::StrCat(absl::ToInt64Seconds(absl::Ceil(duration, absl::Seconds(1))));
}

std::string Milliseconds(absl::Duration duration) {
  return absl::StrCat(absl::ToInt64Milliseconds(duration));
}

// The `options` of a conninfo would replace ours as a whole, so the two are joined.
absl::StatusOr<std::string> ServerOptionsIn(const std::string& conninfo) {
  char* error = nullptr;
  PQconninfoOption* const parsed = PQconninfoParse(conninfo.c_str(), &error);
  if (parsed == nullptr) {
    absl::Status status = absl::InvalidArgumentError(
        absl::StrCat("read the database address: ",
                     error == nullptr ? "out of memory" : absl::StripAsciiWhitespace(error),
                     "; write it as key=value pairs or as a postgresql:// URI"));
    PQfreemem(error);
    return status;
  }
  std::string found;
  for (const PQconninfoOption* option = parsed; option->keyword != nullptr; ++option) {
    if (std::string_view(option->keyword) == "options" && option->val != nullptr) {
      found = option->val;
    }
  }
  PQconninfoFree(parsed);
  return found;
}

std::string ServerOptions(const ConnectOptions& options, const std::string& from_conninfo) {
  return absl::StrCat(
      "-c statement_timeout=", Milliseconds(options.statement_timeout),
      " -c lock_timeout=", Milliseconds(options.lock_timeout),
      " -c idle_in_transaction_session_timeout=", Milliseconds(options.idle_in_transaction_timeout),
      " -c TimeZone=UTC", from_conninfo.empty() ? "" : " ", from_conninfo);
}

}  // namespace

absl::StatusOr<SessionParameters> SessionParameters::From(const ConnectOptions& options) {
  ASSIGN_OR_RETURN(const std::string from_conninfo, ServerOptionsIn(options.conninfo));
  std::vector<Parameter> parameters = {
      {"connect_timeout", WholeSeconds(options.connect_timeout)},
      {"keepalives_idle", WholeSeconds(options.keepalive_idle)},
      {"keepalives_interval", WholeSeconds(options.keepalive_interval)},
      {"keepalives_count", absl::StrCat(options.keepalive_count)},
      {"tcp_user_timeout", Milliseconds(options.tcp_user_timeout)},
      {"client_encoding", "UTF8"},
      {"dbname", options.conninfo},
      {"options", ServerOptions(options, from_conninfo)},
  };
  if (!options.application_name.empty()) {
    parameters.insert(parameters.begin(), {"application_name", options.application_name});
  }
  return SessionParameters(std::move(parameters));
}

SessionParameters::SessionParameters(std::vector<Parameter> parameters)
    : parameters_(std::move(parameters)) {
  for (const Parameter& parameter : parameters_) {
    keyword_pointers_.push_back(parameter.keyword.c_str());
    value_pointers_.push_back(parameter.value.c_str());
  }
  keyword_pointers_.push_back(nullptr);
  value_pointers_.push_back(nullptr);
}

}  // namespace coder::pg
