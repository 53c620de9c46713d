#include "libs/metrics/metrics.h"

#include <prometheus/gauge.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace coder::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double OpenDescriptors() {
  std::error_code error;
  std::filesystem::directory_iterator entries("/proc/self/fd", error);
  if (error) return 0;
  double count = -1;  // the listing's own descriptor
  for (auto it = begin(entries); it != end(entries) && !error; it.increment(error)) ++count;
  return count;
}

double MaxDescriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<double>(limit.rlim_cur);
}

double ResidentBytes() {
  long size = 0;
  long resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// Field 22 of /proc/self/stat, in clock ticks since boot; the name in field 2 may hold spaces.
double StartSecondsAfterBoot() {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  return std::atof(field.c_str()) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double ClockSeconds(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

MetricFamily One(const char* name, const char* help, MetricType type, double value) {
  MetricFamily family{name, help, type, {ClientMetric{}}};
  family.metric[0].counter.value = value;
  family.metric[0].gauge.value = value;
  return family;
}

}  // namespace

class Metrics::Process : public prometheus::Collectable {
 public:
  std::vector<MetricFamily> Collect() const override {
    const double uptime = ClockSeconds(CLOCK_BOOTTIME) - StartSecondsAfterBoot();
    return {
        One("process_cpu_seconds_total", "User and system CPU time.", MetricType::Counter,
            CpuSeconds()),
        One("process_resident_memory_bytes", "Resident memory.", MetricType::Gauge,
            ResidentBytes()),
        One("process_open_fds", "Open file descriptors.", MetricType::Gauge, OpenDescriptors()),
        One("process_max_fds", "Limit of open file descriptors; alarm at 80 % of it.",
            MetricType::Gauge, MaxDescriptors()),
        One("process_start_time_seconds", "When the process started, in Unix time.",
            MetricType::Gauge, started_),
        One("process_uptime_seconds", "How long the process has run.", MetricType::Gauge, uptime),
    };
  }

 private:
  // Fixed once: a wall clock step must not look like a restart.
  const double started_ =
      ClockSeconds(CLOCK_REALTIME) - (ClockSeconds(CLOCK_BOOTTIME) - StartSecondsAfterBoot());
};

Metrics::Metrics(std::string_view version, std::string_view revision, std::string_view compiler)
    : process_(std::make_unique<Process>()) {
  prometheus::BuildGauge()
      .Name("coderd_build_info")
      .Help("Always 1; the labels tell which build runs.")
      .Register(registry_)
      .Add({{"version", std::string(version)},
            {"revision", std::string(revision)},
            {"compiler", std::string(compiler)}})
      .Set(1);
}

Metrics::~Metrics() = default;

std::string Metrics::Text() const {
  std::vector<MetricFamily> families = registry_.Collect();
  std::vector<MetricFamily> process = process_->Collect();
  families.insert(families.end(), process.begin(), process.end());
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace coder::metrics
