#include "libs/process/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
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
#include "libs/process/guard.h"
#include "libs/process/orphans.h"

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
  struct Pipes {
    Pipe out, err, failure, orders, report;
  };

  absl::Status OpenChannels(Pipes& pipes);
  absl::Status AwaitExec(Descriptor failure);
  void WaitForReport();
  // Blocks until the guard has ended.
  void ReapGuard();
  void Escalate();
  void Order(GuardOrder order);
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
  Descriptor null_, out_, err_, wake_, orders_, report_;
  pid_t guard_ = -1;
  SteadyTime timeout_at_ = SteadyTime::max();
  SteadyTime kill_at_ = SteadyTime::max();
  bool is_paused_ = false;
  ChildExit exit_;
};

SteadyTime After(absl::Duration duration) {
  // A year is beyond any run and keeps the sum within the clock's range.
  if (duration > absl::Hours(24 * 365)) return SteadyTime::max();
  return std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(duration);
}

absl::Status Run::OpenChannels(Pipes& pipes) {
  for (Pipe* pipe : {&pipes.out, &pipes.err, &pipes.failure, &pipes.orders, &pipes.report}) {
    if (int error = OpenPipe(*pipe)) return StartError(spec_, error, "open a pipe");
  }
  null_ = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null_.valid()) return StartError(spec_, errno, "open /dev/null");
  wake_ = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return StartError(spec_, errno, "open an eventfd");
  return absl::OkStatus();
}

absl::Status Run::Start() {
  Pipes pipes;
  if (absl::Status opened = OpenChannels(pipes); !opened.ok()) return opened;
  std::vector<std::string> argv = {spec_.program};
  argv.insert(argv.end(), spec_.args.begin(), spec_.args.end());
  std::vector<std::string> env = spec_.env;
  env.push_back(mark_);
  const std::vector<char*> argv_pointers = Pointers(argv), env_pointers = Pointers(env);
  const GuardPlan plan = {.program = spec_.program.c_str(),
                          .argv = argv_pointers.data(),
                          .envp = env_pointers.data(),
                          .cwd = spec_.cwd.c_str(),
                          .stdin_fd = null_.get(),
                          .stdout_fd = pipes.out.write.get(),
                          .stderr_fd = pipes.err.write.get(),
                          .failure_fd = pipes.failure.write.get(),
                          .order_fd = pipes.orders.read.get(),
                          .report_fd = pipes.report.write.get()};
  // Signals stay blocked across fork so that none of our handlers runs in the guard.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  guard_ = ::fork();
  const int fork_error = errno;
  if (guard_ == 0) RunGuard(plan);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (guard_ < 0) return StartError(spec_, fork_error, "fork");
  out_ = std::move(pipes.out.read);
  err_ = std::move(pipes.err.read);
  orders_ = std::move(pipes.orders.write);
  report_ = std::move(pipes.report.read);
  pipes.failure.write.Close();
  for (const Descriptor* fd : {&out_, &err_}) ::fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  timeout_at_ = After(spec_.timeout);
  return AwaitExec(std::move(pipes.failure.read));
}

absl::Status Run::AwaitExec(Descriptor failure) {
  GuardFailure failed = {};
  ssize_t got;
  do {
    got = ::read(failure.get(), &failed, sizeof(failed));
  } while (got < 0 && errno == EINTR);
  if (got == 0) return absl::OkStatus();
  ReapGuard();
  switch (failed.step) {
    case GuardStep::kSetUp:
      return absl::InternalError(absl::StrCat(
          "start ", spec_.program, ": guard its processes: ", std::strerror(failed.error),
          "; Linux 5.9 or newer with /proc is needed"));
    case GuardStep::kFork:
      return StartError(spec_, failed.error, "fork");
    case GuardStep::kExecute:
      break;
  }
  return StartError(spec_, failed.error, "execute");
}

void Run::ReapGuard() {
  while (::waitpid(guard_, nullptr, 0) < 0 && errno == EINTR) {
  }
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

// After the report nobody can write any more, so a would-block is the end of the stream too.
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
  if (stop_.pause && stop_.pause->is_on() != is_paused_) {
    is_paused_ = !is_paused_;
    Order(is_paused_ ? GuardOrder::kPause : GuardOrder::kGoOn);
  }
  const SteadyTime now = std::chrono::steady_clock::now();
  if (now >= timeout_at_) exit_.timed_out = true;
  if ((stop_.interrupt.stop_requested() || exit_.timed_out) && !exit_.interrupted) {
    Order(GuardOrder::kInterrupt);
    exit_.interrupted = true;
    timeout_at_ = SteadyTime::max();
    kill_at_ = After(spec_.grace);
  }
  if ((stop_.kill.stop_requested() || now >= kill_at_) && !exit_.killed) {
    Order(GuardOrder::kKill);
    exit_.killed = true;
    kill_at_ = SteadyTime::max();
  }
}

void Run::Order(GuardOrder order) {
  // A guard that has gone tells by the end of its report.
  (void)!::write(orders_.get(), &order, sizeof(order));
}

int Run::NextTimeoutMs() const {
  const SteadyTime next = std::min(timeout_at_, kill_at_);
  if (next == SteadyTime::max()) return -1;
  const auto left = next - std::chrono::steady_clock::now();
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<long>(ms, 0, 60'000));
}

void Run::WaitForReport() {
  const auto wake = [this] {
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof(one));
  };
  const std::stop_callback on_interrupt(stop_.interrupt, wake);
  const std::stop_callback on_kill(stop_.kill, wake);
  const Pause::Listener on_pause(stop_.pause, wake);
  while (true) {
    Escalate();
    std::array<pollfd, 4> fds = {pollfd{report_.get(), POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0},
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
  WaitForReport();
  GuardReport report = {};
  const bool reported = ::read(report_.get(), &report, sizeof(report)) == sizeof(report);
  ReapGuard();
  const bool ended = reported ? report.all_ended : EndMarked(mark_);
  DrainRest();
  if (!ended) {
    return absl::InternalError(absl::StrCat("end ", spec_.program, ": processes below ", guard_,
                                            " survive SIGKILL; look at them on this host"));
  }
  if (!reported) {
    return absl::InternalError(absl::StrCat("run ", spec_.program, ": its guard ", guard_,
                                            " was killed, and all it ran with it; look for who "
                                            "killed it, such as the kernel short of memory"));
  }
  if (WIFEXITED(report.status)) exit_.exit_code = WEXITSTATUS(report.status);
  if (WIFSIGNALED(report.status)) exit_.signal = WTERMSIG(report.status);
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
