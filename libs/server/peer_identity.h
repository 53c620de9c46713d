#pragma once

#include <grpcpp/security/auth_context.h>

#include <optional>
#include <string>
#include <vector>

namespace coder::server {

using PeerNames = std::vector<std::string>;

// The names a peer's certificate gives it, as far as they can be a service's: the path of its one
// SPIFFE id ("provisionerd" of spiffe://example.org/provisionerd; a path of several segments is
// kept whole), else its DNS names, else its common name. Nothing without a client certificate; no
// name where it has one without names. That it is of a trusted authority was checked when the
// connection was made.
std::optional<PeerNames> NamesOfPeer(const grpc::AuthContext& context);

}  // namespace coder::server
