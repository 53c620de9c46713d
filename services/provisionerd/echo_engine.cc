#include "services/provisionerd/echo_engine.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/failpoint/failpoint.h"
#include "services/provisionerd/echo_answers.h"
#include "services/provisionerd/json_fields.h"
#include "services/provisionerd/log_text.h"
#include "services/provisionerd/private_files.h"

namespace coder::provisionerd {
namespace {

constexpr std::size_t kMaxAnswersBytes = 10 << 20;

absl::StatusOr<Json> ReadAnswers(const std::string& template_dir) {
  const auto text = ReadRegularFile(absl::StrCat(template_dir, "/echo.json"), kMaxAnswersBytes);
  Json answers = Json::parse(text.value_or(""), nullptr, /*allow_exceptions=*/false);
  if (answers.is_object()) return answers;
  return absl::InvalidArgumentError(
      "read echo.json: the template has no such file or it is not a JSON object; add one, or use "
      "the terraform provisioner");
}

const char* NameOf(Transition transition) {
  switch (transition) {
    case Transition::kStart:
      return "start";
    case Transition::kStop:
      return "stop";
    case Transition::kDelete:
      return "delete";
  }
  return "";
}

const char* StageOf(Transition transition) {
  switch (transition) {
    case Transition::kStart:
      return "Starting workspace";
    case Transition::kStop:
      return "Stopping workspace";
    case Transition::kDelete:
      return "Destroying workspace";
  }
  return "";
}

// FNV-1a: the same in every process and release, unlike std::hash.
std::uint64_t StableHash(const std::string& text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

bool FailsFor(const Json& step, const std::string& build_id) {
  if (Text(step, "error").empty()) return false;
  return static_cast<std::int64_t>(StableHash(build_id) % 100) < Number(step, "fail_percent", 100);
}

// Waits unless one of the two levels of cancel is requested.
absl::Status WaitFor(clock::Clock& clock, absl::Duration delay, const EngineContext& context) {
  std::stop_source either;
  const auto stop = [&either] { either.request_stop(); };
  const std::stop_callback on_interrupt(context.interrupt, stop);
  const std::stop_callback on_kill(context.kill, stop);
  if (clock.Wait(delay, either.get_token())) return absl::OkStatus();
  return absl::CancelledError("apply: canceled");
}

absl::Status PlayStep(const Json& step, const char* stage, const std::string& build_id,
                      LogLevel level, clock::Clock& clock, const EngineContext& context) {
  const Json& lines = List(step, "log");
  const absl::Duration delay =
      absl::Milliseconds(std::max<std::int64_t>(0, Number(step, "delay_ms")));
  const absl::Duration share = delay / static_cast<std::int64_t>(lines.size() + 1);
  for (const Json& line : lines) {
    failpoint::Hit("provisionerd.in_apply");
    if (absl::Status waited = WaitFor(clock, share, context); !waited.ok()) return waited;
    if (!line.is_string() || !context.log || level > LogLevel::kInfo) continue;
    ForEachLogLine(line.get<std::string>(), [&](std::string text) {
      context.log({stage, LogLevel::kInfo, LogSource::kProvisioner, std::move(text)});
    });
  }
  if (absl::Status waited = WaitFor(clock, share, context); !waited.ok()) return waited;
  if (!FailsFor(step, build_id)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("apply: ", Text(step, "error")));
}

std::string StateAfter(const Json& step, const BuildRequest& request) {
  if (Field(step, "state").is_string()) return Text(step, "state");
  const Json state = {{"workspace", request.metadata.workspace_id},
                      {"build", request.metadata.workspace_build_id},
                      {"transition", NameOf(request.transition)}};
  return state.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

absl::StatusOr<ImportResult> EchoEngine::Import(const ImportRequest& request,
                                                const EngineContext& context) {
  absl::StatusOr<Json> answers = ReadAnswers(request.template_dir);
  if (!answers.ok()) return answers.status();
  const absl::Duration began = clock_.MonotonicNow();
  absl::Status played =
      PlayStep(Field(*answers, "import"), "Detecting persistent resources",
               request.metadata.template_version_id, request.log_level, clock_, context);
  if (!played.ok()) return played;
  ImportResult result;
  result.parameters = EchoParameters(*answers);
  result.variables = EchoVariables(*answers);
  result.start_resources = EchoResources(*answers, Transition::kStart);
  result.stop_resources = EchoResources(*answers, Transition::kStop);
  result.readme = Text(*answers, "readme");
  const Json& tags = Field(*answers, "workspace_tags");
  for (auto it = tags.begin(); tags.is_object() && it != tags.end(); ++it) {
    if (it->is_string()) result.workspace_tags[it.key()] = it->get<std::string>();
  }
  result.timings.push_back(
      {.stage = "plan", .action = "plan", .source = "echo", .end = clock_.MonotonicNow() - began});
  return result;
}

absl::StatusOr<BuildResult> EchoEngine::Build(const BuildRequest& request,
                                              const EngineContext& context) {
  absl::StatusOr<Json> answers = ReadAnswers(request.template_dir);
  if (!answers.ok()) return answers.status();
  const absl::Duration began = clock_.MonotonicNow();
  const Json& step = Field(*answers, NameOf(request.transition));
  BuildResult result;
  result.outcome = PlayStep(step, StageOf(request.transition), request.metadata.workspace_build_id,
                            request.log_level, clock_, context);
  result.state = StateAfter(step, request);
  if (result.outcome.ok()) result.resources = EchoResources(*answers, request.transition);
  result.timings.push_back({.stage = "apply",
                            .action = NameOf(request.transition),
                            .source = "echo",
                            .end = clock_.MonotonicNow() - began,
                            .state = result.outcome.ok() ? StageTiming::State::kCompleted
                                                         : StageTiming::State::kFailed});
  return result;
}

}  // namespace coder::provisionerd
