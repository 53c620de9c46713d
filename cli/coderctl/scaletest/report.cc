#include "cli/coderctl/scaletest/report.h"

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "cli/coderctl/output.h"
#include "libs/status/status_macros.h"

namespace coder::cli::scaletest {
namespace {

std::string Seconds(absl::Duration span) {
  return absl::StrFormat("%.3f", absl::ToDoubleSeconds(span));
}

nlohmann::json TimeJson(absl::Time time) {
  if (time == absl::InfinitePast()) return nullptr;
  return absl::FormatTime(absl::RFC3339_full, time, absl::UTCTimeZone());
}

nlohmann::json TimelineJson(const Timeline& timeline) {
  nlohmann::json json = {{"name", timeline.name},
                         {"config_time", TimeJson(timeline.configured)},
                         {"scheduled_time", TimeJson(timeline.scheduled)},
                         {"create_time", TimeJson(timeline.created)},
                         {"acquire_time", TimeJson(timeline.acquired)},
                         {"complete_time", TimeJson(timeline.completed)},
                         {"seen_time", TimeJson(timeline.seen)}};
  if (!timeline.error_kind.empty()) {
    json["error_kind"] = timeline.error_kind;
    json["error"] = timeline.error;
  }
  return json;
}

absl::Status WriteFile(const std::string& path, const std::string& text) {
  if (path == "-") {
    std::cout << text << std::flush;
    return absl::OkStatus();
  }
  std::ofstream out(path, std::ios::trunc);
  out << text;
  out.close();
  if (out) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("write the result to ", path, ": not possible; check the folder"));
}

}  // namespace

std::map<std::string, int> ErrorsOf(const Report& report) {
  std::map<std::string, int> errors = report.errors;
  for (const Timeline& timeline : report.timelines) {
    if (!timeline.error_kind.empty()) ++errors[timeline.error_kind];
  }
  return errors;
}

std::string TextOf(const Report& report) {
  Table facts({"scaletest " + report.kind, report.run});
  for (const auto& [name, value] : report.facts) facts.AddRow({name, value});
  Table measures({"SECONDS", "COUNT", "P50", "P95", "P99", "MAX", ""});
  for (const Measure& measure : report.measures) {
    const Percentiles of = PercentilesOf(measure.values);
    measures.AddRow({measure.name, std::to_string(of.count), Seconds(of.p50), Seconds(of.p95),
                     Seconds(of.p99), Seconds(of.max), measure.meaning});
  }
  std::string text = absl::StrCat(facts.ToString(), "\n", measures.ToString());
  const std::map<std::string, int> errors = ErrorsOf(report);
  if (errors.empty()) return absl::StrCat(text, "\nno errors\n");
  Table table({"ERROR", "COUNT"});
  for (const auto& [kind, count] : errors) table.AddRow({kind, std::to_string(count)});
  return absl::StrCat(text, "\n", table.ToString());
}

std::string JsonOf(const Report& report) {
  nlohmann::json json = {{"kind", report.kind},
                         {"run", report.run},
                         {"begin_time", TimeJson(report.begun)},
                         {"end_time", TimeJson(report.ended)},
                         {"errors", ErrorsOf(report)}};
  for (const auto& [name, value] : report.facts) json["facts"][name] = value;
  for (const Measure& measure : report.measures) {
    const Percentiles of = PercentilesOf(measure.values);
    const auto put = [&json, &measure](const char* what, absl::Duration value) {
      json["latency"][absl::StrCat(measure.name, "_", what, "_ms")] =
          absl::ToDoubleMilliseconds(value);
    };
    put("p50", of.p50);
    put("p95", of.p95);
    put("p99", of.p99);
    put("max", of.max);
    json["latency"][measure.name + "_count"] = of.count;
  }
  json["timelines"] = nlohmann::json::array();
  for (const Timeline& timeline : report.timelines) {
    json["timelines"].push_back(TimelineJson(timeline));
  }
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

absl::Status Write(const Report& report, const std::vector<std::string>& outputs) {
  if (outputs.empty()) return WriteFile("-", TextOf(report));
  for (const std::string& output : outputs) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(output, absl::MaxSplits(':', 1));
    if (parts.first == "json") {
      RETURN_IF_ERROR(WriteFile(parts.second, JsonOf(report)));
    } else if (parts.first == "html") {
      RETURN_IF_ERROR(WriteFile(parts.second, HtmlOf(report)));
    } else {
      RETURN_IF_ERROR(WriteFile("-", TextOf(report)));
    }
  }
  return absl::OkStatus();
}

}  // namespace coder::cli::scaletest
