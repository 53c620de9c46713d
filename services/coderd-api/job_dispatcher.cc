#include "services/coderd-api/job_dispatcher.h"

#include <algorithm>
#include <utility>

#include "libs/clock/deadline.h"
#include "libs/server/log.h"

namespace coder::api {

JobDispatcher::JobDispatcher(storage::JobStore& store, Options options)
    : store_(store), options_(std::move(options)) {}

JobDispatcher::~JobDispatcher() { Stop(); }

absl::Status JobDispatcher::Start() {
  for (int i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this](std::stop_token stop) { Run(std::move(stop)); });
  }
  return absl::OkStatus();
}

void JobDispatcher::Stop() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

void JobDispatcher::Request(const JobDomain& domain, const lifecycle::ProvisionerDaemonId& daemon,
                            std::shared_ptr<JobReceiver> receiver) {
  const std::lock_guard lock(mutex_);
  Queue& waiting = domains_[domain];
  const bool first = waiting.tickets.empty();
  waiting.tickets.push_back({daemon, std::move(receiver)});
  // Others waiting already means that the queue holds nothing for this domain.
  if (first) MarkDue(domain, waiting);
}

void JobDispatcher::Withdraw(const JobReceiver& receiver) {
  std::vector<std::shared_ptr<JobReceiver>> answers;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [domain, waiting] : domains_) {
      std::erase_if(waiting.tickets, [&](Ticket& ticket) {
        if (ticket.receiver.get() != &receiver) return false;
        answers.push_back(std::move(ticket.receiver));
        return true;
      });
      for (Ticket& ticket : waiting.current) {
        if (ticket.receiver.get() == &receiver) ticket.withdrawn = true;
      }
    }
  }
  for (const auto& answered : answers) answered->Withdrawn();
}

void JobDispatcher::Forget(const JobReceiver& receiver) {
  std::vector<std::shared_ptr<JobReceiver>> dropped;
  const std::lock_guard lock(mutex_);
  for (auto& [domain, waiting] : domains_) {
    std::erase_if(waiting.tickets, [&](Ticket& ticket) {
      if (ticket.receiver.get() != &receiver) return false;
      dropped.push_back(std::move(ticket.receiver));
      return true;
    });
    for (Ticket& ticket : waiting.current) {
      if (ticket.receiver.get() == &receiver) dropped.push_back(std::move(ticket.receiver));
    }
  }
}

void JobDispatcher::Wake(const lifecycle::OrganizationId& organization) {
  const std::lock_guard lock(mutex_);
  for (auto& [domain, waiting] : domains_) {
    if (domain.organization == organization) MarkDue(domain, waiting);
  }
}

void JobDispatcher::WakeAll() {
  const std::lock_guard lock(mutex_);
  for (auto& [domain, waiting] : domains_) MarkDue(domain, waiting);
}

std::vector<WaitingSlots> JobDispatcher::Waiting() const {
  const std::lock_guard lock(mutex_);
  std::vector<WaitingSlots> found;
  for (const auto& [domain, waiting] : domains_) {
    WaitingSlots& slots = found.emplace_back(WaitingSlots{.domain = domain});
    std::set<lifecycle::ProvisionerDaemonId> daemons;
    for (const Ticket& ticket : waiting.tickets) daemons.insert(ticket.daemon);
    for (const Ticket& ticket : waiting.current) daemons.insert(ticket.daemon);
    slots.slots = waiting.tickets.size() + waiting.current.size();
    slots.daemons = daemons.size();
  }
  return found;
}

void JobDispatcher::Release(const storage::LeaseClaim& claim) {
  const std::lock_guard lock(mutex_);
  to_release_.push_back(claim);
  changed_.notify_one();
}

void JobDispatcher::MarkDue(const JobDomain& domain, Queue& waiting) {
  if (waiting.busy) {
    waiting.again = true;
  } else if (!waiting.due) {
    waiting.due = true;
    due_.push_back(domain);
    changed_.notify_one();
  }
}

void JobDispatcher::Run(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, stop, [this] { return !due_.empty() || !to_release_.empty(); });
    if (!to_release_.empty()) {
      const storage::LeaseClaim claim = to_release_.front();
      to_release_.pop_front();
      lock.unlock();
      const absl::Status released =
          store_.ReleaseJob(claim, clock::Deadline::After(options_.query_timeout));
      if (!released.ok()) {
        log::Warn("give a job back to the queue",
                  {{"job_id", claim.job.ToString()}, {"error", released}});
      }
      lock.lock();
      for (auto& [domain, waiting] : domains_) {
        if (domain.organization == claim.organization) MarkDue(domain, waiting);
      }
      continue;
    }
    if (stop.stop_requested()) return;
    const JobDomain domain = due_.front();
    due_.pop_front();
    Serve(lock, domain);
  }
}

void JobDispatcher::Serve(std::unique_lock<std::mutex>& lock, const JobDomain& domain) {
  Queue& waiting = domains_[domain];
  waiting.due = false;
  if (waiting.tickets.empty()) {
    domains_.erase(domain);
    return;
  }
  waiting.current = TakeFront(waiting);
  waiting.busy = true;
  waiting.again = false;
  const std::vector<Ticket> asked = waiting.current;
  lock.unlock();
  const std::set<size_t> answered = LookFor(domain, asked);
  lock.lock();
  // The entry stays while it is busy.
  waiting.busy = false;
  const std::vector<Ticket> current = std::exchange(waiting.current, {});
  std::vector<std::shared_ptr<JobReceiver>> withdrawn;
  for (size_t place = 0; place < current.size(); ++place) {
    const Ticket& ticket = current[place];
    if (answered.contains(place) || !ticket.receiver) continue;
    // At the end: should this daemon be what keeps jobs from it, the next look is for another.
    if (ticket.withdrawn) {
      withdrawn.push_back(ticket.receiver);
    } else {
      waiting.tickets.push_back(ticket);
    }
  }
  if (waiting.tickets.empty()) {
    domains_.erase(domain);
  } else if (!answered.empty() || waiting.again) {
    MarkDue(domain, waiting);
  }
  if (withdrawn.empty()) return;
  lock.unlock();
  for (const auto& receiver : withdrawn) receiver->Withdrawn();
  lock.lock();
}

std::vector<JobDispatcher::Ticket> JobDispatcher::TakeFront(Queue& waiting) const {
  std::vector<Ticket> front;
  while (!waiting.tickets.empty() && front.size() < options_.batch) {
    front.push_back(std::move(waiting.tickets.front()));
    waiting.tickets.pop_front();
  }
  return front;
}

// The places of the tickets that got a job.
std::set<size_t> JobDispatcher::LookFor(const JobDomain& domain,
                                        const std::vector<Ticket>& tickets) {
  std::vector<lifecycle::ProvisionerDaemonId> daemons;
  for (const Ticket& ticket : tickets) daemons.push_back(ticket.daemon);
  const auto jobs = store_.AcquireJobs(
      {daemons, domain.organization, domain.provisioners, domain.tags, options_.lease},
      clock::Deadline::After(options_.query_timeout));
  std::set<size_t> answered;
  if (!jobs.ok()) {
    log::Warn("look for jobs", {{"error", jobs.status()}});
    return answered;
  }
  for (const storage::AcquiredJob& job : *jobs) {
    answered.insert(job.place);
    if (tickets[job.place].receiver->Deliver(job)) {
      if (options_.on_delivered) options_.on_delivered(job);
    } else {
      Release({job.id, job.token, job.organization});
    }
  }
  return answered;
}

}  // namespace coder::api
