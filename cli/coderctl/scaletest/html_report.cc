#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/coderctl/scaletest/report.h"

namespace coder::cli::scaletest {
namespace {

// The drawing area of every plot; its labels lie around it.
constexpr double kWidth = 820;
constexpr double kHeight = 220;
constexpr int kPoints = 240;
constexpr int kBars = 60;

constexpr char kHead[] = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>%s</title><style>
:root{color-scheme:light dark;--ink:#1c2024;--faint:#80868d;--line:#d9dde1;--paper:#fff;
--pending:#e5a100;--running:#2b7de9;--completed:#2c9c5a;--bar:#2b7de9}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--faint:#9aa0a6;--line:#3c4043;--paper:#16181b}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:960px;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.05rem;margin-top:2rem}
table{border-collapse:collapse}td,th{padding:.2rem .9rem .2rem 0;text-align:right;
font-variant-numeric:tabular-nums}td:first-child,th:first-child,td.text{text-align:left}
th{color:var(--faint);font-weight:500;border-bottom:1px solid var(--line)}td.text{color:var(--faint)}
svg{width:100%%;height:auto}svg text{font:12px system-ui,sans-serif;fill:var(--faint)}
.grid{stroke:var(--line);stroke-width:1}
</style></head><body>
)";

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string Seconds(absl::Duration span) {
  return absl::StrFormat("%.3g s", absl::ToDoubleSeconds(span));
}

/// A plot with its axes: `height` is the value at the top, `width` the time at the right.
std::string Plot(const std::string& name, const std::string& drawing, double height,
                 absl::Duration width) {
  std::string svg =
      absl::StrFormat("<svg viewBox=\"-60 -12 %g %g\" role=\"img\" aria-label=\"%s\">", kWidth + 90,
                      kHeight + 40, Escaped(name));
  for (int i = 0; i <= 4; ++i) {
    const double y = kHeight - kHeight * i / 4;
    absl::StrAppendFormat(&svg, "<line class=\"grid\" x1=\"0\" x2=\"%g\" y1=\"%g\" y2=\"%g\"/>",
                          kWidth, y, y);
    absl::StrAppendFormat(&svg, "<text x=\"-8\" y=\"%g\" text-anchor=\"end\">%.4g</text>", y + 4,
                          height * i / 4);
    absl::StrAppendFormat(&svg, "<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">%s</text>",
                          kWidth * i / 4, kHeight + 20, Seconds(width * i / 4));
  }
  return absl::StrCat(svg, drawing, "</svg>\n");
}

std::string Curve(const std::vector<RampPoint>& ramp, int RampPoint::*value, const char* color,
                  double height) {
  std::vector<std::string> points;
  for (const RampPoint& point : ramp) {
    const double x = kWidth * absl::FDivDuration(point.at, ramp.back().at);
    points.push_back(absl::StrFormat("%.1f,%.1f", x, kHeight - kHeight * point.*value / height));
  }
  return absl::StrFormat(
      "<polyline fill=\"none\" stroke=\"var(--%s)\" stroke-width=\"2\" points=\"%s\"/>", color,
      absl::StrJoin(points, " "));
}

std::string RampSection(const Report& report) {
  const std::vector<RampPoint> ramp = RampOf(report.timelines, report.origin, kPoints);
  if (ramp.empty()) return "";
  const auto height = static_cast<double>(report.timelines.size());
  return absl::StrCat(
      "<h2>Builds over time: <span style=\"color:var(--pending)\">pending</span>, "
      "<span style=\"color:var(--running)\">running</span>, "
      "<span style=\"color:var(--completed)\">ended</span></h2>\n",
      Plot("builds over time",
           absl::StrCat(Curve(ramp, &RampPoint::pending, "pending", height),
                        Curve(ramp, &RampPoint::running, "running", height),
                        Curve(ramp, &RampPoint::completed, "completed", height)),
           height, ramp.back().at));
}

std::string BarSection(const std::string& title, const std::vector<Bar>& bars) {
  if (bars.empty()) return "";
  const auto tallest = std::max_element(
      bars.begin(), bars.end(), [](const Bar& a, const Bar& b) { return a.count < b.count; });
  const double height = std::max(tallest->count, 1);
  const double width = kWidth / static_cast<double>(bars.size());
  std::string drawing;
  for (size_t i = 0; i < bars.size(); ++i) {
    const double tall = kHeight * bars[i].count / height;
    absl::StrAppendFormat(&drawing,
                          "<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" "
                          "fill=\"var(--bar)\"><title>%s to %s: %d</title></rect>",
                          static_cast<double>(i) * width, kHeight - tall, width * 0.9, tall,
                          Seconds(bars[i].from), Seconds(bars[i].to), bars[i].count);
  }
  return absl::StrCat("<h2>", Escaped(title), "</h2>\n",
                      Plot(title, drawing, height, bars.back().to));
}

std::string FactsSection(const Report& report) {
  std::string rows;
  for (const auto& [name, value] : report.facts) {
    absl::StrAppend(&rows, "<tr><td>", Escaped(name), "</td><td>", Escaped(value), "</td></tr>\n");
  }
  return absl::StrCat("<table>", rows, "</table>\n");
}

std::string MeasuresSection(const Report& report) {
  std::string rows;
  for (const Measure& measure : report.measures) {
    const Percentiles of = PercentilesOf(measure.values);
    absl::StrAppend(&rows, "<tr><td>", Escaped(measure.name), "</td><td>", of.count, "</td><td>",
                    Seconds(of.p50), "</td><td>", Seconds(of.p95), "</td><td>", Seconds(of.p99),
                    "</td><td>", Seconds(of.max), "</td><td class=\"text\">",
                    Escaped(measure.meaning), "</td></tr>\n");
  }
  return absl::StrCat(
      "<h2>Latencies</h2>\n<table><tr><th></th><th>count</th><th>p50</th><th>p95</th><th>p99</th>"
      "<th>max</th><th></th></tr>\n",
      rows, "</table>\n");
}

std::string ErrorsSection(const Report& report) {
  const std::map<std::string, int> errors = ErrorsOf(report);
  if (errors.empty()) return "<h2>No errors</h2>\n";
  std::string rows;
  for (const auto& [kind, count] : errors) {
    absl::StrAppend(&rows, "<tr><td>", Escaped(kind), "</td><td>", count, "</td></tr>\n");
  }
  std::string first;
  for (const Timeline& timeline : report.timelines) {
    if (timeline.error.empty()) continue;
    first = absl::StrCat("<p>The first: ", Escaped(timeline.name), ": ", Escaped(timeline.error),
                         "</p>\n");
    break;
  }
  return absl::StrCat("<h2>Errors</h2>\n<table>", rows, "</table>\n", first);
}

}  // namespace

std::string HtmlOf(const Report& report) {
  const std::string title = absl::StrCat("scaletest ", report.kind, " ", report.run);
  std::string page = absl::StrFormat(kHead, Escaped(title));
  absl::StrAppend(&page, "<h1>", Escaped(title), "</h1>\n", FactsSection(report),
                  RampSection(report));
  const std::vector<absl::Duration> ends = [&report] {
    std::vector<absl::Duration> since;
    for (const Timeline& timeline : report.timelines) {
      if (timeline.completed > report.origin) since.push_back(timeline.completed - report.origin);
    }
    return since;
  }();
  absl::StrAppend(&page, BarSection("Builds that ended, over time", HistogramOf(ends, kBars)));
  absl::StrAppend(&page, MeasuresSection(report));
  if (!report.measures.empty()) {
    const Measure& first = report.measures.front();
    absl::StrAppend(&page, BarSection(absl::StrCat("How often which latency: ", first.name),
                                      HistogramOf(first.values, kBars)));
  }
  return absl::StrCat(page, ErrorsSection(report), "</body></html>\n");
}

}  // namespace coder::cli::scaletest
