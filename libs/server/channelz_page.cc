#include "libs/server/channelz_page.h"

#include <grpc/grpc.h>
#include <grpc/support/alloc.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

namespace coder::server {
namespace {

using Json = nlohmann::ordered_json;

// Takes what gRPC answered as JSON. The object's only list is of interest, not that it may go on.
Json ListOf(char* answer, const char* key) {
  if (answer == nullptr) return Json::array();
  const Json parsed = Json::parse(answer, nullptr, false);
  gpr_free(answer);
  return parsed.is_object() && parsed.contains(key) ? parsed[key] : Json::array();
}

// gRPC writes its 64-bit ids as text.
intptr_t IdOf(const Json& reference, const char* key) {
  if (!reference.is_object() || !reference.contains(key) || !reference[key].is_string()) return 0;
  return static_cast<intptr_t>(
      std::strtoll(reference[key].get_ref<const std::string&>().c_str(), nullptr, 10));
}

Json Servers() {
  Json servers = ListOf(grpc_channelz_get_servers(0), "server");
  for (Json& server : servers) {
    const intptr_t id = IdOf(server.value("ref", Json::object()), "serverId");
    if (id == 0) continue;
    server["connections"] = ListOf(grpc_channelz_get_server_sockets(id, 0, 0), "socketRef");
  }
  return servers;
}

}  // namespace

void AddChannelzPage(AdminServer& admin) {
  admin.AddDebugPage("channelz", "gRPC servers and client channels: addresses, states, calls", [] {
    return Json{{"servers", Servers()},
                {"channels", ListOf(grpc_channelz_get_top_channels(0), "channel")}};
  });
}

}  // namespace coder::server
