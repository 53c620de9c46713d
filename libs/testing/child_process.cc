#include "libs/testing/child_process.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace coder::testing {
namespace {

[[noreturn]] void Die(const char* attempt, const std::string& value) {
  std::fprintf(stderr, "%s %s: ", attempt, value.c_str());
  std::perror(nullptr);
  std::_Exit(1);
}

void BecomePostgres() {
  const passwd* const user = getpwnam("postgres");
  if (user == nullptr) Die("find the system user", "postgres (run: apt-get install postgresql)");
  if (setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0) {
    Die("become the system user", "postgres");
  }
}

[[noreturn]] void RunProgram(const ChildProcessOptions& options, pid_t parent) {
  const int log = open(options.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  const int nothing = open("/dev/null", O_RDONLY);
  if (log < 0 || nothing < 0) Die("open the log", options.log_path);
  dup2(nothing, STDIN_FILENO);
  if (options.as_postgres) BecomePostgres();
  // A change of user clears this, so it comes after; the parent may be gone by then.
  prctl(PR_SET_PDEATHSIG, options.signal_when_orphaned);
  if (getppid() != parent) std::_Exit(1);
  // Its own group, so that an interrupt at the keyboard reaches the test and not the server.
  setpgid(0, 0);
  std::vector<char*> argv;
  for (const std::string& word : options.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execv(argv[0], argv.data());
  Die("run", options.argv[0]);
}

}  // namespace

ChildProcess::ChildProcess(const ChildProcessOptions& options) {
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) Die("start", options.argv[0]);
  if (pid_ == 0) RunProgram(options, parent);
}

ChildProcess::~ChildProcess() { End(SIGKILL); }

void ChildProcess::End(int signal) {
  if (reaped_) return;
  kill(pid_, signal);
  Wait();
}

int ChildProcess::Wait() {
  int status = 0;
  while (!reaped_ && waitpid(pid_, &status, 0) != pid_) {
  }
  reaped_ = true;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool ChildProcess::Running() {
  if (!reaped_ && waitpid(pid_, nullptr, WNOHANG) == pid_) reaped_ = true;
  return !reaped_;
}

}  // namespace coder::testing
