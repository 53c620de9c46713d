#pragma once

#include "libs/server/admin_server.h"

namespace coder::server {

// Serves /debug/channelz: what gRPC knows of this process's servers and client channels, with their
// addresses, states, call counts and connections. Before the admin server starts.
void AddChannelzPage(AdminServer& admin);

}  // namespace coder::server
