#include <catch2/catch.hpp>

#include "libs/events/resume_token.h"
#include "libs/events/watch_filter.h"

namespace coder::events {
namespace {

constexpr ResumeToken kToken = {.epoch = 3, .position = 123456789012, .event_hash = 0xdeadbeef};

TEST_CASE("a resume token survives its journey") {
  for (const ResumeToken& token :
       {kToken, ResumeToken{.epoch = 1}, ResumeToken{.epoch = 1, .position = 1, .event_hash = 1}}) {
    const std::string text = EncodeResumeToken(token);
    CHECK(text.size() == 28);
    const auto decoded = DecodeResumeToken(text);
    REQUIRE(decoded.ok());
    CHECK(*decoded == token);
  }
}

TEST_CASE("a resume token that was changed in any character is refused") {
  const std::string text = EncodeResumeToken(kToken);
  for (size_t at = 0; at < text.size(); ++at) {
    std::string changed = text;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    CAPTURE(changed);
    CHECK(DecodeResumeToken(changed).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("what is not a resume token is refused with a reason") {
  struct Row {
    const char* name;
    std::string text;
    const char* says;
  };
  for (const Row& row :
       {Row{"empty", "", "empty"}, Row{"not base64", "%%%", "base64url"},
        Row{"other version", "Aw", "version is 3"}, Row{"short", "AQ", "1 bytes instead of 21"}}) {
    DYNAMIC_SECTION(row.name) {
      const auto status = DecodeResumeToken(row.text).status();
      CHECK(status.code() == absl::StatusCode::kInvalidArgument);
      CHECK(std::string(status.message()).find(row.says) != std::string::npos);
    }
  }
}

TEST_CASE("numbers that contradict each other are refused") {
  CHECK_FALSE(DecodeResumeToken(EncodeResumeToken({.epoch = 1, .position = 5})).ok());
  CHECK_FALSE(DecodeResumeToken(EncodeResumeToken({.epoch = 1, .event_hash = 5})).ok());
}

constexpr EventKeys kKeys = {.organization_id = "org",
                             .owner_id = "owner",
                             .template_id = "template",
                             .workspace_id = "ws",
                             .workspace_version = 1,
                             .transition = 1,
                             .job_status = 2,
                             .reason = 3};

TEST_CASE("a filter's sets are combined with and, empty ones ask for all") {
  struct Row {
    const char* name;
    WatchFilter filter;
    bool admits;
  };
  for (const Row& row :
       {Row{"empty", {}, true}, Row{"organization", {.organization_ids = {"org", "x"}}, true},
        Row{"other organization", {.organization_ids = {"x"}}, false},
        Row{"owner", {.owner_ids = {"owner"}}, true},
        Row{"other owner", {.owner_ids = {"x"}}, false},
        Row{"template", {.template_ids = {"template"}}, true},
        Row{"other template", {.template_ids = {"x"}}, false},
        Row{"workspace", {.workspace_ids = {"ws"}}, true},
        Row{"other workspace", {.workspace_ids = {"x"}}, false},
        Row{"transition", {.transitions = {1}}, true},
        Row{"other transition", {.transitions = {2}}, false},
        Row{"status", {.job_statuses = {2}}, true},
        Row{"other status", {.job_statuses = {1}}, false}, Row{"reason", {.reasons = {3}}, true},
        Row{"other reason", {.reasons = {1}}, false},
        Row{"one of two sets", {.owner_ids = {"owner"}, .reasons = {1}}, false}}) {
    DYNAMIC_SECTION(row.name) { CHECK(row.filter.Admits(kKeys) == row.admits); }
  }
}

TEST_CASE("rights name everything, organizations, or one's own workspaces in one's organizations") {
  struct Row {
    const char* name;
    WatchRights rights;
    bool admits;
  };
  for (const Row& row :
       {Row{"none", {}, false}, Row{"everything", {.everything = true}, true},
        Row{"organization", {.organization_ids = {"org"}}, true},
        Row{"other organization", {.organization_ids = {"x"}}, false},
        Row{"own", {.owner_id = "owner", .owner_organization_ids = {"org"}}, true},
        Row{"own, no longer a member",
            {.owner_id = "owner", .owner_organization_ids = {"x"}},
            false},
        Row{"another's", {.owner_id = "x", .owner_organization_ids = {"org"}}, false}}) {
    DYNAMIC_SECTION(row.name) { CHECK(row.rights.Admits(kKeys) == row.admits); }
  }
}

}  // namespace
}  // namespace coder::events
