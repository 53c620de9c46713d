#include "libs/server/peer_identity.h"

#include <grpc/grpc_security_constants.h>

#include <string_view>

namespace coder::server {
namespace {

std::vector<std::string> Values(const grpc::AuthContext& context, const char* property) {
  std::vector<std::string> values;
  for (const grpc::string_ref& value : context.FindPropertyValues(property)) {
    values.emplace_back(value.data(), value.size());
  }
  return values;
}

// "a/b" of "spiffe://example.org/a/b".
std::string PathOf(const std::string& spiffe_id) {
  const std::string_view scheme = "spiffe://";
  const size_t slash = spiffe_id.find('/', scheme.size());
  return slash == std::string::npos ? spiffe_id : spiffe_id.substr(slash + 1);
}

}  // namespace

std::optional<PeerNames> NamesOfPeer(const grpc::AuthContext& context) {
  if (context.FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME).empty()) return std::nullopt;
  PeerNames names = Values(context, GRPC_PEER_SPIFFE_ID_PROPERTY_NAME);
  for (std::string& name : names) name = PathOf(name);
  if (names.empty()) names = Values(context, GRPC_PEER_DNS_PROPERTY_NAME);
  if (names.empty()) names = Values(context, GRPC_X509_CN_PROPERTY_NAME);
  return names;
}

}  // namespace coder::server
