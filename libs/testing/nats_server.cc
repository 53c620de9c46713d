#include "libs/testing/nats_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace coder::testing {
namespace {

constexpr auto kStartLimit = std::chrono::seconds(20);

std::string Program() {
  const char* chosen = std::getenv("CODER_TEST_NATS_SERVER");
  return chosen ? chosen : "/usr/sbin/nats-server";
}

std::string PrivateDirectory() {
  const char* parent = std::getenv("TEST_TMPDIR");
  std::string path = std::string(parent ? parent : "/tmp") + "/nats-XXXXXX";
  if (!mkdtemp(path.data())) throw std::runtime_error("start nats-server: mkdtemp " + path);
  return path;
}

bool Accepts(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int rc = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  close(fd);
  return rc == 0;
}

}  // namespace

NatsServer::NatsServer(std::vector<std::string> arguments)
    : arguments_(std::move(arguments)), directory_(PrivateDirectory()) {
  Run();
}

NatsServer::~NatsServer() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void NatsServer::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void NatsServer::Restart() { Run(); }

void NatsServer::LoseStore() { std::filesystem::remove_all(directory_ + "/store"); }

void NatsServer::Run() {
  const std::string port = std::to_string(port_);
  const std::string store = directory_ + "/store";
  const std::string log = directory_ + "/log";
  std::vector<std::string> words = {Program(), "-a",  "127.0.0.1",        "-p",       port, "-js",
                                    "-sd",     store, "--ports_file_dir", directory_, "-l", log};
  words.insert(words.end(), arguments_.begin(), arguments_.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("start nats-server: fork");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv(argv[0], argv.data());
    _exit(127);
  }
  const auto give_up = std::chrono::steady_clock::now() + kStartLimit;
  while (!ReadPort() || !Accepts(port_)) {
    const bool gone = waitpid(pid_, nullptr, WNOHANG) != 0;
    if (gone) pid_ = 0;
    if (gone || std::chrono::steady_clock::now() > give_up) {
      throw std::runtime_error("start nats-server: it does not answer; is " + words[0] +
                               " installed? its log: " + log);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  url_ = "nats://127.0.0.1:" + std::to_string(port_);
}

bool NatsServer::ReadPort() {
  if (port_ > 0) return true;
  std::ifstream file(directory_ + "/nats-server_" + std::to_string(pid_) + ".ports");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const size_t at = text.find("nats://127.0.0.1:", text.find("\"nats\""));
  if (at == std::string::npos || text.find('}') == std::string::npos) return false;
  port_ = std::atoi(text.c_str() + at + 17);
  return port_ > 0;
}

}  // namespace coder::testing
