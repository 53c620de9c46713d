#include "libs/process/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "libs/process/descriptor.h"
#include "libs/process/process_group.h"

namespace coder::process {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

absl::Status StartError(const ChildSpec& spec, int error, absl::string_view step) {
  const std::string text = absl::StrCat("start ", spec.program, " in ", spec.cwd, ": ", step, ": ",
                                        std::strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(absl::StrCat(text,
                                              "; check the configured path and that it is "
                                              "installed in this image"));
    case EACCES:
    case EPERM:
    case ENOEXEC:
      return absl::PermissionDeniedError(
          absl::StrCat(text, "; check that it is an executable file on a mount without noexec"));
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
      return absl::ResourceExhaustedError(
          absl::StrCat(text, "; raise the process or descriptor limit, or run fewer jobs"));
    default:
      return absl::InternalError(text);
  }
}

std::string RandomMark() {
  std::random_device device;
  std::string mark = absl::StrCat(kRunMarkVariable, "=");
  for (int word = 0; word < 4; ++word) {
    absl::StrAppend(&mark, absl::Hex(device(), absl::kZeroPad8));
  }
  return mark;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

absl::Status CheckSpec(const ChildSpec& spec) {
  const auto has_nul = [](const std::string& s) { return s.find('\0') != std::string::npos; };
  if (spec.program.empty() || spec.program[0] != '/' || has_nul(spec.program)) {
    return absl::InvalidArgumentError(
        absl::StrCat("start \"", spec.program, "\": the program must be an absolute path"));
  }
  if (std::any_of(spec.args.begin(), spec.args.end(), has_nul) ||
      std::any_of(spec.env.begin(), spec.env.end(), has_nul)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "start ", spec.program, ": an argument or variable contains a NUL byte; remove it"));
  }
  if (spec.max_stdout_line_bytes < 4 || spec.max_stderr_line_bytes < 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("start ", spec.program, ": the longest line must be at least 4 bytes"));
  }
  return absl::OkStatus();
}

struct Pipe {
  Descriptor read;
  Descriptor write;
};

// Returns errno, 0 on success.
int OpenPipe(Pipe& out) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return errno;
  out.read = Descriptor(fds[0]);
  out.write = Descriptor(fds[1]);
  return 0;
}

struct ExecPlan {
  const char* program;
  char* const* argv;
  char* const* envp;
  const char* cwd;
  int stdin_fd, stdout_fd, stderr_fd, error_fd;
  pid_t parent;
};

// Runs between fork and exec of a threaded process: system calls only, no allocation.
[[noreturn]] void ExecInChild(const ExecPlan& plan) {
  const auto fail = [&plan] {
    const int error = errno;
    (void)!::write(plan.error_fd, &error, sizeof(error));
    ::_exit(127);
  };
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  // The parent may have died before the line above took effect.
  if (::getppid() != plan.parent) ::_exit(127);
  if (::dup2(plan.stdin_fd, 0) < 0 || ::dup2(plan.stdout_fd, 1) < 0 ||
      ::dup2(plan.stderr_fd, 2) < 0 || ::chdir(plan.cwd) != 0) {
    fail();
  }
  // Libraries may have opened descriptors without O_CLOEXEC (value 4: CLOSE_RANGE_CLOEXEC).
  ::syscall(SYS_close_range, 3U, ~0U, 4U);
  ::umask(077);
  ::execve(plan.program, plan.argv, plan.envp);
  fail();
  ::_exit(127);
}

// One run of one child; used by one thread from construction to destruction.
class Run {
 public:
  Run(const ChildSpec& spec, const ChildStop& stop)
      : spec_(spec),
        stop_(stop),
        mark_(RandomMark()),
        stdout_lines_(spec.max_stdout_line_bytes, spec.on_stdout_line),
        stderr_lines_(spec.max_stderr_line_bytes, spec.on_stderr_line) {}

  absl::Status Start();
  absl::StatusOr<ChildExit> Wait();

 private:
  absl::Status OpenChannels(Pipe& out, Pipe& err, Pipe& exec_error);
  absl::Status AwaitExec(Descriptor exec_error);
  void WaitForExit();
  void Escalate();
  int NextTimeoutMs() const;
  // Reads what is there; closes the descriptor at the end of the stream.
  void Drain(Descriptor& fd, LineSplitter& lines);
  void DrainRest();
  void HandOn(std::string_view bytes, LineSplitter& lines);

  const ChildSpec& spec_;
  const ChildStop& stop_;
  const std::string mark_;
  LineSplitter stdout_lines_;
  LineSplitter stderr_lines_;
  Descriptor null_, out_, err_, wake_, pidfd_;
  pid_t pid_ = -1;
  SteadyTime timeout_at_ = SteadyTime::max();
  SteadyTime kill_at_ = SteadyTime::max();
  ChildExit exit_;
};

SteadyTime After(absl::Duration duration) {
  // A year is beyond any run and keeps the sum within the clock's range.
  if (duration > absl::Hours(24 * 365)) return SteadyTime::max();
  return std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(duration);
}

absl::Status Run::OpenChannels(Pipe& out, Pipe& err, Pipe& exec_error) {
  for (Pipe* pipe : {&out, &err, &exec_error}) {
    if (int error = OpenPipe(*pipe)) return StartError(spec_, error, "open a pipe");
  }
  null_ = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null_.valid()) return StartError(spec_, errno, "open /dev/null");
  wake_ = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return StartError(spec_, errno, "open an eventfd");
  return absl::OkStatus();
}

absl::Status Run::Start() {
  Pipe out, err, exec_error;
  if (absl::Status opened = OpenChannels(out, err, exec_error); !opened.ok()) return opened;
  std::vector<std::string> argv = {spec_.program};
  argv.insert(argv.end(), spec_.args.begin(), spec_.args.end());
  std::vector<std::string> env = spec_.env;
  env.push_back(mark_);
  const std::vector<char*> argv_pointers = Pointers(argv), env_pointers = Pointers(env);
  const ExecPlan plan = {spec_.program.c_str(),
                         argv_pointers.data(),
                         env_pointers.data(),
                         spec_.cwd.c_str(),
                         null_.get(),
                         out.write.get(),
                         err.write.get(),
                         exec_error.write.get(),
                         ::getpid()};
  // Signals stay blocked across fork so that none of our handlers runs in the child.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_ = ::fork();
  const int fork_error = errno;
  if (pid_ == 0) ExecInChild(plan);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid_ < 0) return StartError(spec_, fork_error, "fork");
  out_ = std::move(out.read);
  err_ = std::move(err.read);
  exec_error.write.Close();
  if (absl::Status started = AwaitExec(std::move(exec_error.read)); !started.ok()) return started;
  for (const Descriptor* fd : {&out_, &err_}) ::fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  pidfd_ = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!pidfd_.valid()) {
    const int error = errno;
    EndGroup(pid_, mark_);
    return StartError(spec_, error, "open a pidfd (Linux 5.3 or newer is needed)");
  }
  timeout_at_ = After(spec_.timeout);
  return absl::OkStatus();
}

absl::Status Run::AwaitExec(Descriptor exec_error) {
  int error = 0;
  ssize_t got;
  do {
    got = ::read(exec_error.get(), &error, sizeof(error));
  } while (got < 0 && errno == EINTR);
  if (got == 0) return absl::OkStatus();
  ::waitpid(pid_, nullptr, 0);
  return StartError(spec_, error, "execute");
}

void Run::HandOn(std::string_view bytes, LineSplitter& lines) {
  const std::uint64_t handed = exit_.output_bytes - exit_.discarded_bytes;
  const std::uint64_t room = spec_.max_output_bytes - std::min(spec_.max_output_bytes, handed);
  const std::string_view kept = bytes.substr(0, room);
  exit_.output_bytes += bytes.size();
  exit_.discarded_bytes += bytes.size() - kept.size();
  lines.Append(kept);
}

void Run::Drain(Descriptor& fd, LineSplitter& lines) {
  std::array<char, 65536> buffer;
  const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
  if (got > 0) {
    HandOn(std::string_view(buffer.data(), static_cast<std::size_t>(got)), lines);
  } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
    fd.Close();
  }
}

// After EndGroup nobody can write any more, so a would-block is the end of the stream too.
void Run::DrainRest() {
  for (auto [fd, lines] : {std::pair{&out_, &stdout_lines_}, std::pair{&err_, &stderr_lines_}}) {
    std::uint64_t before = ~std::uint64_t{0};
    while (fd->valid() && before != exit_.output_bytes) {
      before = exit_.output_bytes;
      Drain(*fd, *lines);
    }
    lines->Finish();
  }
}

void Run::Escalate() {
  const SteadyTime now = std::chrono::steady_clock::now();
  if (now >= timeout_at_) exit_.timed_out = true;
  if ((stop_.interrupt.stop_requested() || exit_.timed_out) && !exit_.interrupted) {
    ::kill(-pid_, SIGINT);
    exit_.interrupted = true;
    timeout_at_ = SteadyTime::max();
    kill_at_ = After(spec_.grace);
  }
  if ((stop_.kill.stop_requested() || now >= kill_at_) && !exit_.killed) {
    ::kill(-pid_, SIGKILL);
    exit_.killed = true;
    kill_at_ = SteadyTime::max();
  }
}

int Run::NextTimeoutMs() const {
  const SteadyTime next = std::min(timeout_at_, kill_at_);
  if (next == SteadyTime::max()) return -1;
  const auto left = next - std::chrono::steady_clock::now();
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<long>(ms, 0, 60'000));
}

void Run::WaitForExit() {
  const auto wake = [this] {
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof(one));
  };
  const std::stop_callback on_interrupt(stop_.interrupt, wake);
  const std::stop_callback on_kill(stop_.kill, wake);
  while (true) {
    Escalate();
    std::array<pollfd, 4> fds = {pollfd{pidfd_.get(), POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0},
                                 pollfd{out_.get(), POLLIN, 0}, pollfd{err_.get(), POLLIN, 0}};
    if (::poll(fds.data(), fds.size(), NextTimeoutMs()) < 0) continue;
    if (fds[1].revents != 0) {
      std::uint64_t count;
      (void)!::read(wake_.get(), &count, sizeof(count));
    }
    if (fds[2].revents != 0) Drain(out_, stdout_lines_);
    if (fds[3].revents != 0) Drain(err_, stderr_lines_);
    if (fds[0].revents != 0) return;
  }
}

absl::StatusOr<ChildExit> Run::Wait() {
  WaitForExit();
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  const bool ended = EndGroup(pid_, mark_);
  DrainRest();
  if (!ended) {
    return absl::InternalError(absl::StrCat("end ", spec_.program, ": processes of group ", pid_,
                                            " survive SIGKILL; look at them on this host"));
  }
  if (WIFEXITED(status)) exit_.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) exit_.signal = WTERMSIG(status);
  return exit_;
}

}  // namespace

absl::StatusOr<ChildExit> RunChild(const ChildSpec& spec, const ChildStop& stop) {
  if (absl::Status checked = CheckSpec(spec); !checked.ok()) return checked;
  if (stop.interrupt.stop_requested() || stop.kill.stop_requested()) {
    return absl::CancelledError(absl::StrCat("start ", spec.program, ": canceled before it began"));
  }
  BecomeReaper();
  Run run(spec, stop);
  if (absl::Status started = run.Start(); !started.ok()) return started;
  return run.Wait();
}

std::string DescribeExit(const ChildExit& exit) {
  std::string text = exit.signal ? absl::StrCat("was killed by signal ", *exit.signal)
                                 : absl::StrCat("exited with status ", exit.exit_code.value_or(-1));
  if (exit.timed_out) return absl::StrCat(text, " after its time limit");
  if (exit.interrupted) return absl::StrCat(text, " after an interrupt");
  return text;
}

}  // namespace coder::process
