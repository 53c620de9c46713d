#pragma once

#include <compare>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "libs/server/program.h"
#include "libs/storage/job_store.h"

namespace coder::api {

/// A daemon's end of the queue. Called from the dispatcher's threads, one call at a time.
class JobReceiver {
 public:
  virtual ~JobReceiver() = default;

  /// Answers one acquire with a job. False: nobody is there any more, and the job goes back.
  virtual bool Deliver(const storage::AcquiredJob& job) = 0;

  /// Answers one acquire without a job, because it was withdrawn.
  virtual void Withdrawn() = 0;
};

/// Daemons for which the queue looks the same.
struct JobDomain {
  lifecycle::OrganizationId organization;
  /// Sorted.
  std::vector<std::string> provisioners;
  storage::Tags tags;

  friend auto operator<=>(const JobDomain&, const JobDomain&) = default;
};

/// The slots of a domain that wait.
struct WaitingSlots {
  JobDomain domain;
  size_t slots = 0;
  size_t daemons = 0;
};

/// Gives jobs to waiting daemons, first come first served. The daemons of one domain are one query
/// at a time, for as many jobs as slots wait, up to a batch; it is asked when the first of them
/// starts to wait, when the queue is said to have grown, and at each backup poll. Thread-safe;
/// calls return at once.
class JobDispatcher final : public server::Part {
 public:
  struct Options {
    /// For each job given out.
    absl::Duration lease = absl::Seconds(30);
    int threads = 2;
    /// The most jobs that one query takes.
    size_t batch = 16;
    /// Of one query.
    absl::Duration query_timeout = absl::Seconds(5);
    /// Told of every job that was delivered; may be empty.
    std::function<void(const storage::AcquiredJob&)> on_delivered;
  };

  /// The store must outlive the dispatcher.
  JobDispatcher(storage::JobStore& store, Options options);
  ~JobDispatcher() override;

  std::string name() const override { return "job-dispatcher"; }
  absl::Status Start() override;
  void Stop() override;

  /// One slot of `daemon` waits; the receiver gets exactly one answer, unless it is forgotten.
  void Request(const JobDomain& domain, const lifecycle::ProvisionerDaemonId& daemon,
               std::shared_ptr<JobReceiver> receiver);

  /// Takes back all requests of a receiver; one that is being looked for right now may still be
  /// answered with a job. Must not be called from within the receiver.
  void Withdraw(const JobReceiver& receiver);

  /// Drops all requests of a receiver without an answer.
  void Forget(const JobReceiver& receiver);

  /// The queue of an organization may have grown.
  void Wake(const lifecycle::OrganizationId& organization);

  /// The backup poll: every queue may have grown.
  void WakeAll();

  /// How many slots of which daemons wait for a job.
  std::vector<WaitingSlots> Waiting() const;

  /// Returns a job that reached nobody to the queue; its lease expires if that fails.
  void Release(const storage::LeaseClaim& claim);

 private:
  struct Ticket {
    lifecycle::ProvisionerDaemonId daemon;
    std::shared_ptr<JobReceiver> receiver;
    bool withdrawn = false;
  };
  struct Queue {
    std::deque<Ticket> tickets;
    // Those being looked for, without their receiver once that is forgotten.
    std::vector<Ticket> current;
    bool busy = false;
    bool again = false;
    bool due = false;
  };

  void Run(std::stop_token stop);
  void Serve(std::unique_lock<std::mutex>& lock, const JobDomain& domain);
  std::vector<Ticket> TakeFront(Queue& waiting) const;
  std::set<size_t> LookFor(const JobDomain& domain, const std::vector<Ticket>& tickets);
  void MarkDue(const JobDomain& domain, Queue& waiting);

  storage::JobStore& store_;
  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  // All guarded by mutex_.
  std::map<JobDomain, Queue> domains_;
  std::deque<JobDomain> due_;
  std::deque<storage::LeaseClaim> to_release_;
  std::vector<std::jthread> threads_;
};

}  // namespace coder::api
