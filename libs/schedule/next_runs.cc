// Answers questions of zones_test.py: reads lines `AFTER COUNT SCHEDULE` and prints the next COUNT
// runs after AFTER, in seconds since 1970, one line for each question.

#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/schedule/cron.h"

int main() {
  int64_t after = 0;
  int count = 0;
  std::string schedule;
  while (std::cin >> after >> count && std::getline(std::cin, schedule)) {
    const auto cron = coder::schedule::Cron::ParseWeekly(schedule);
    if (!cron.ok()) {
      std::cerr << cron.status().message() << "\n";
      return 1;
    }
    std::string line;
    for (const absl::Time run : cron->NextN(absl::FromUnixSeconds(after), count)) {
      absl::StrAppend(&line, line.empty() ? "" : " ", absl::ToUnixSeconds(run));
    }
    std::cout << line << "\n";
  }
}
