#pragma once

#include <prometheus/registry.h>

#include <memory>
#include <string>
#include <string_view>

namespace coder::metrics {

// The metrics of one process: a registry for everybody's families, the process_* family read from
// /proc at each scrape, and coderd_build_info. Thread safe.
class Metrics {
 public:
  Metrics(std::string_view version, std::string_view revision, std::string_view compiler);
  ~Metrics();

  // For families of our own; it outlives nothing but this object.
  prometheus::Registry& registry() { return registry_; }

  // Everything in Prometheus' text format 0.0.4.
  std::string Text() const;

 private:
  class Process;

  prometheus::Registry registry_;
  std::unique_ptr<Process> process_;
};

}  // namespace coder::metrics
