#include <set>
#include <string>

#include "libs/storage/postgres/pg_api_key_store.h"
#include "libs/storage/postgres/pg_job_view_store.h"
#include "libs/storage/postgres/pg_organization_store.h"
#include "libs/storage/postgres/pg_provisioner_key_store.h"
#include "libs/storage/postgres/pg_user_store.h"
#include "services/coderd-api/auth_service.h"
#include "services/coderd-api/deployment_service.h"
#include "services/coderd-api/organization_service.h"
#include "services/coderd-api/provisioner_admin_service.h"
#include "services/coderd-api/user_service.h"
#include "services/coderd-api/wiring.h"

namespace coder::api {

void WireIdentity(Wiring& wiring) {
  const Config& config = wiring->config;
  auto& users = wiring.Make<storage::PgUserStore>(wiring->pool);
  auto& organizations = wiring.Make<storage::PgOrganizationStore>(wiring->pool);
  auto& api_keys = wiring.Make<storage::PgApiKeyStore>(wiring->pool);
  auto& jobs = wiring.Make<storage::PgJobViewStore>(wiring->pool);
  auto& provisioner_keys = wiring.Make<storage::PgProvisionerKeyStore>(wiring->pool);

  wiring.Serve<AuthService>(
      AuthService::kName,
      AuthService::Parts{.gate = wiring->gate,
                         .users = users,
                         .organizations = organizations,
                         .api_keys = api_keys,
                         .passwords = wiring->passwords,
                         .ids = wiring->ids,
                         .clock = wiring->clock},
      AuthService::Limits{.session_lifetime = config.session_lifetime,
                          .login_burst_per_email = config.login_burst_per_email,
                          .login_burst_per_address = config.login_burst_per_address});
  wiring.Serve<UserService>(UserService::kName,
                            UserService::Parts{.gate = wiring->gate,
                                               .users = users,
                                               .passwords = wiring->passwords,
                                               .ids = wiring->ids,
                                               .clock = wiring->clock},
                            config.login_burst_per_email);
  wiring.Serve<OrganizationService>(OrganizationService::kName, wiring->gate, organizations, users,
                                    wiring->ids);
  wiring.Serve<ProvisionerAdminService>(
      ProvisionerAdminService::kName, ProvisionerAdminService::Parts{.gate = wiring->gate,
                                                                     .organizations = organizations,
                                                                     .keys = provisioner_keys,
                                                                     .jobs = jobs,
                                                                     .ids = wiring->ids});
  wiring.Serve<DeploymentService>(
      DeploymentService::kName, wiring->gate, config.access_url,
      std::set<std::string>(config.experiments.begin(), config.experiments.end()));
}

}  // namespace coder::api
