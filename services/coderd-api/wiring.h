#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/auth/password.h"
#include "libs/clock/clock.h"
#include "libs/crypto/keyring.h"
#include "libs/events/poker.h"
#include "libs/ids/uuid.h"
#include "libs/metrics/metrics.h"
#include "libs/pg/pool.h"
#include "libs/server/admin_server.h"
#include "libs/server/grpc_server.h"
#include "libs/server/program.h"
#include "services/coderd-api/call.h"
#include "services/coderd-api/config.h"
#include "services/coderd-api/job_signals.h"
#include "services/coderd-api/replica_hints.h"

namespace coder::api {

struct StreamJobLogsParts;

/// What every slice of the service is wired with, and the owner of what it makes. One per process
/// (or test); the slices' functions run before anything starts. Destroyed in reverse order of
/// making.
class Wiring {
 public:
  /// Made by App or a test; all outlive the wiring.
  struct Shared {
    const Config& config;
    clock::Clock& clock;
    metrics::Metrics& metrics;
    pg::Pool& pool;
    CallGate& gate;
    auth::PasswordHasher& passwords;
    const crypto::Keyring& keyring;
    ids::UuidV7Generator& ids;
    server::GrpcServer& grpc;
    server::AdminServer& admin;
    server::Program& program;
  };

  explicit Wiring(const Shared& shared) : shared_(shared) {}
  ~Wiring() {
    while (!owned_.empty()) owned_.pop_back();
  }
  Wiring(const Wiring&) = delete;
  Wiring& operator=(const Wiring&) = delete;

  const Shared* operator->() const { return &shared_; }

  /// Makes a T that lives as long as the wiring.
  template <typename T, typename... Arguments>
  T& Make(Arguments&&... arguments) {
    auto made = std::make_shared<T>(std::forward<Arguments>(arguments)...);
    T& borrowed = *made;
    owned_.push_back(std::move(made));
    return borrowed;
  }

  /// Makes a service and has it served under its full proto name.
  template <typename Service, typename... Arguments>
  Service& Serve(const std::string& full_name, Arguments&&... arguments) {
    Service& service = Make<Service>(std::forward<Arguments>(arguments)...);
    shared_.grpc.AddService(service, full_name);
    return service;
  }

  /// Makes a part, such as a Loop, that runs between the database and the listener.
  template <typename T, typename... Arguments>
  T& Run(Arguments&&... arguments) {
    T& part = Make<T>(std::forward<Arguments>(arguments)...);
    shared_.program.Add(part);
    parts_.push_back(&part);
    return part;
  }

  /// What was given to Run, in that order.
  const std::vector<server::Part*>& parts() const { return parts_; }

  /// Poke after a commit that wrote an event. Pokes nobody until SetPoker, which is called before
  /// anything starts.
  events::OutboxPoker& poker() { return poker_; }
  void SetPoker(events::OutboxPoker& poker) { poker_.target = &poker; }

  /// Poke after a commit that queued a job, or changed a job or its log: who waits for it in this
  /// process then looks at once.
  JobQueueSignal& job_queue() { return job_queue_; }
  JobLogSignal& job_logs() { return job_logs_; }

  /// What this replica and the others tell each other. Carried only where WireWatch is called.
  ReplicaHints& hints() { return hints_; }

 private:
  struct ForwardingPoker final : events::OutboxPoker {
    void Poke() override {
      if (target != nullptr) target->Poke();
    }
    events::OutboxPoker* target = nullptr;
  };

  const Shared shared_;
  ForwardingPoker poker_;
  JobQueueSignal job_queue_;
  JobLogSignal job_logs_;
  ReplicaHints hints_;
  std::vector<std::shared_ptr<void>> owned_;
  std::vector<server::Part*> parts_;
};

/// One function for each slice, in `wire_<slice>.cc`; app.cc calls them all.
void WireWatch(Wiring& wiring);
void WireIdentity(Wiring& wiring);
/// Returns what log streams are begun with.
StreamJobLogsParts& WireJobs(Wiring& wiring);
void WireWorkspaces(Wiring& wiring, StreamJobLogsParts& logs);
void WireLifecycle(Wiring& wiring);
void WireHousekeeping(Wiring& wiring);
void WireTemplates(Wiring& wiring);
void WireAudit(Wiring& wiring);

}  // namespace coder::api
