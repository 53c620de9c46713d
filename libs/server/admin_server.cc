#include "libs/server/admin_server.h"

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "libs/server/log.h"
#include "libs/server/version.h"

namespace coder::server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr size_t kMaxRequestBytes = 8 * 1024;

std::string Shown(const nlohmann::ordered_json& facts) {
  return facts.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// The value of `key` in "a=b&c=d"; empty without one. Levels need no decoding.
std::string QueryValue(const std::string& query, const std::string& key) {
  for (const std::string& pair : std::vector<std::string>(absl::StrSplit(query, '&'))) {
    if (pair.starts_with(key + "=")) return pair.substr(key.size() + 1);
  }
  return "";
}

}  // namespace

// One connection: read a request, answer it, until the client closes or a limit is met.
class AdminSession : public std::enable_shared_from_this<AdminSession> {
 public:
  AdminSession(const AdminServer& server, tcp::socket socket, std::shared_ptr<int> slot)
      : server_(server), stream_(std::move(socket)), slot_(std::move(slot)) {}

  void Read() {
    parser_.emplace();
    parser_->body_limit(kMaxRequestBytes);
    parser_->header_limit(kMaxRequestBytes);
    stream_.expires_after(
        std::chrono::milliseconds(absl::ToInt64Milliseconds(server_.options_.request_timeout)));
    http::async_read(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](beast::error_code error, size_t) { self->OnRead(error); });
  }

 private:
  void OnRead(beast::error_code error) {
    if (error == http::error::body_limit || error == http::error::header_limit ||
        error == http::error::buffer_overflow) {
      return Write({413, "the request is over 8 KiB\n"}, 11, false);
    }
    if (error == http::error::end_of_stream || error == beast::error::timeout) return Close();
    if (error.category() == http::make_error_code(http::error::bad_method).category()) {
      return Write({400, absl::StrCat("not HTTP/1.1: ", error.message(), "\n")}, 11, false);
    }
    if (error) return Close();
    const auto& request = parser_->get();
    Write(server_.Answer(std::string(request.method_string()), std::string(request.target()),
                         request.body()),
          request.version(), request.keep_alive());
  }

  void Write(AdminServer::Reply reply, unsigned version, bool keep_alive) {
    response_.emplace(static_cast<http::status>(reply.status), version);
    response_->set(http::field::content_type, reply.type);
    response_->set(http::field::cache_control, "no-store");
    response_->set("X-Content-Type-Options", "nosniff");
    if (reply.allow != nullptr) response_->set(http::field::allow, reply.allow);
    response_->keep_alive(keep_alive);
    response_->body() = std::move(reply.body);
    response_->prepare_payload();
    http::async_write(stream_, *response_,
                      [self = shared_from_this(), keep_alive](beast::error_code error, size_t) {
                        if (error || !keep_alive) return self->Close();
                        self->Read();
                      });
  }

  void Close() {
    beast::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  }

  const AdminServer& server_;
  beast::tcp_stream stream_;
  std::shared_ptr<int> slot_;  // counts the connection while it lives
  beast::flat_buffer buffer_{2 * kMaxRequestBytes};
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::string_body>> response_;
};

class AdminServer::Listener {
 public:
  explicit Listener(const AdminServer& server) : server_(server), acceptor_(io_), retry_(io_) {}

  absl::StatusOr<int> Bind(const std::string& listen) {
    auto address = ParseHostPort(listen);
    if (!address.ok()) return address.status();
    beast::error_code error;
    tcp::resolver resolver(io_);
    const auto found =
        resolver.resolve(address->host.empty() ? "0.0.0.0" : address->host,
                         std::to_string(address->port), tcp::resolver::passive, error);
    if (error || found.empty()) return Unavailable(listen, error.message());
    const tcp::endpoint endpoint = *found.begin();
    if (!error) acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return Unavailable(listen, error.message());
    return acceptor_.local_endpoint().port();
  }

  void Run() {
    Accept();
    thread_ = std::jthread([this] { io_.run(); });
  }

  void Stop() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  static absl::Status Unavailable(const std::string& listen, const std::string& cause) {
    return absl::UnavailableError(absl::StrCat("listen on admin address ", listen, ": ", cause,
                                               "; choose another with --admin-listen"));
  }

  void Accept() {
    acceptor_.async_accept([this](beast::error_code error, tcp::socket socket) {
      if (error) {
        // Out of descriptors, most likely: the listener must outlive that.
        retry_.expires_after(std::chrono::milliseconds(100));
        retry_.async_wait([this](beast::error_code) { Accept(); });
        return;
      }
      if (slots_.use_count() <= server_.options_.max_connections) {
        std::make_shared<AdminSession>(server_, std::move(socket), slots_)->Read();
      }
      Accept();
    });
  }

  const AdminServer& server_;
  std::shared_ptr<int> slots_ = std::make_shared<int>(0);
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  std::jthread thread_;
};

void RegisterAdminOptions(OptionSet& set, AdminOptions& options) {
  set.Group("Admin listener");
  set.HostPort("admin-listen", &options.listen,
               "address of /metrics, /livez, /readyz, /version, /config, /log-level, /debug");
  set.Text("admin-port-file", &options.port_file, "file to write the bound port to");
}

AdminServer::AdminServer(AdminOptions options, metrics::Metrics& metrics)
    : options_(std::move(options)), metrics_(metrics) {
  pages_["/metrics"] = [this] { return Reply{200, metrics_.Text(), "text/plain; version=0.0.4"}; };
  pages_["/livez"] = [] { return Reply{200, "ok\n"}; };
  pages_["/readyz"] = [this] { return Ready(); };
  pages_["/config"] = [this] { return Config(); };
  pages_["/debug/config"] = pages_["/config"];
  pages_["/debug"] = [this] { return DebugIndex(); };
  pages_["/debug/"] = pages_["/debug"];
  pages_["/version"] = [] {
    const nlohmann::json version = {{"version", std::string(Version())},
                                    {"revision", std::string(Revision())},
                                    {"compiler", std::string(Compiler())}};
    return Reply{200, version.dump() + "\n", "application/json"};
  };
  debug_index_ = {{"config", "every option, its value (secrets masked) and where it came from"},
                  {"log-level", "what is logged; PUT /debug/log-level?level=debug changes it"}};
}

AdminServer::~AdminServer() { Stop(); }

void AdminServer::AddReadinessCheck(std::string name, ReadinessCheck check) {
  checks_.emplace_back(std::move(name), std::move(check));
}

void AdminServer::SetConfig(std::vector<ConfigValue> values) { config_ = std::move(values); }

void AdminServer::AddDebugPage(const std::string& name, std::string summary, DebugPage page) {
  pages_["/debug/" + name] = [page = std::move(page)] {
    return Reply{200, Shown(page()), "application/json"};
  };
  debug_index_.emplace_back(name, std::move(summary));
}

absl::Status AdminServer::Start() {
  auto listener = std::make_unique<Listener>(*this);
  auto port = listener->Bind(options_.listen);
  if (!port.ok()) return port.status();
  port_ = *port;
  if (absl::Status written = WritePortFile(options_.port_file, port_); !written.ok()) {
    return written;
  }
  listener_ = std::move(listener);
  listener_->Run();
  log::Info("admin listener ready", {{"address", options_.listen}, {"port", port_}});
  return absl::OkStatus();
}

void AdminServer::Drain(absl::Duration) { SetDraining(); }
void AdminServer::SetDraining() { draining_ = true; }

void AdminServer::Stop() {
  if (listener_) listener_->Stop();
  listener_.reset();
}

AdminServer::Reply AdminServer::Answer(const std::string& method, const std::string& target,
                                       const std::string& body) const {
  const size_t mark = std::min(target.find('?'), target.size());
  const std::string path = target.substr(0, mark);
  if (path == "/log-level" || path == "/debug/log-level") {
    return LogLevel(method, target.substr(std::min(mark + 1, target.size())), body);
  }
  const auto page = pages_.find(path);
  if (page == pages_.end()) {
    return {404,
            "nothing here; try /metrics, /livez, /readyz, /version, /config, /log-level or "
            "/debug\n"};
  }
  if (method != "GET") {
    return {405, absl::StrCat(path, " takes GET only\n"), "text/plain; charset=utf-8", "GET"};
  }
  return page->second();
}

// Not POST: a browser sends that to any address on behalf of any page.
AdminServer::Reply AdminServer::LogLevel(const std::string& method, const std::string& query,
                                         const std::string& body) const {
  if (method == "GET") {
    return {200, absl::StrCat(std::string(log::LevelName(log::CurrentLevel())), "\n")};
  }
  if (method != "PUT") {
    return {405, "the log level takes GET and PUT only\n", "text/plain; charset=utf-8", "GET, PUT"};
  }
  std::string word = QueryValue(query, "level");
  if (word.empty()) word = std::string(absl::StripAsciiWhitespace(body));
  auto level = log::ParseLevel(word);
  if (!level.ok()) return {400, absl::StrCat(level.status().message(), "\n")};
  log::SetLevel(*level);
  log::Info("log level changed", {{"to", log::LevelName(*level)}});
  return {200, absl::StrCat(std::string(log::LevelName(*level)), "\n")};
}

AdminServer::Reply AdminServer::DebugIndex() const {
  std::string text;
  for (const auto& [name, summary] : debug_index_) {
    absl::StrAppendFormat(&text, "/debug/%-12s %s\n", name, summary);
  }
  return {200, text};
}

AdminServer::Reply AdminServer::Ready() const {
  if (draining_) return {503, "draining\n"};
  std::string text;
  bool ready = true;
  for (const auto& [name, check] : checks_) {
    const absl::Status status = check();
    ready = ready && status.ok();
    absl::StrAppend(&text, status.ok() ? "ok " : "failing ", name, status.ok() ? "" : ": ",
                    status.message(), "\n");
  }
  return {ready ? 200 : 503, text.empty() ? "ok\n" : text};
}

AdminServer::Reply AdminServer::Config() const {
  nlohmann::ordered_json values = nlohmann::ordered_json::array();
  for (const ConfigValue& value : config_) {
    values.push_back({{"name", value.name},
                      {"value", value.value},
                      {"origin", std::string(OriginName(value.origin))}});
  }
  return {200, Shown(values), "application/json"};
}

absl::Status WritePortFile(const std::string& path, int port) {
  if (path.empty()) return absl::OkStatus();
  const std::string partial = path + ".partial";
  std::ofstream(partial) << port << "\n";
  if (std::rename(partial.c_str(), path.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("write port file ", path));
  }
  return absl::OkStatus();
}

}  // namespace coder::server
