"""The recording rules and alerts, written by code because every objective repeats the same windows.

`python3 -m deploy.prometheus.rules` rewrites coder-suite.rules.yaml; a test keeps the two the same.
"""

import json
import pathlib
import sys

OUTPUT = pathlib.Path(__file__).with_name("coder-suite.rules.yaml")
RUNBOOKS = "docs/runbooks"

# Windows of an alert on a burnt error budget: how fast it burns, over how long, and how long it must still burn.
# After "Alerting on SLOs" of Google's SRE workbook.
_BURNS = (
    ("page", 14.4, "1h", "5m"),
    ("page", 6, "6h", "30m"),
    ("ticket", 3, "1d", "2h"),
    ("ticket", 1, "3d", "6h"),
)
_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")

_API = 'grpc_service=~"coder[.]api[.].*",grpc_type="unary"'
# What the caller did wrong is not an error of the service.
_SERVER_FAULTS = "Unknown|DeadlineExceeded|Internal|Unavailable|DataLoss"
_ALL_BUILDS = 'job_type="workspace_build"'


class Objective:
    """A share of events that must be good, told as the ratio of bad ones in a window.

    `bad` and `total` give the expression of a window, in events a second.
    """

    def __init__(self, name, target, bad, total, least_per_second, sentence):
        self.name = name
        self.target = target
        self.bad = bad
        self.total = total
        self.least_per_second = least_per_second
        self.sentence = sentence

    def series(self, window):
        """The recorded ratio of one window."""
        return f"coderd:{self.name}_errors:ratio_rate{window}"

    def recordings(self):
        """The ratio of bad events for every window; nothing where nothing happened."""
        return [{"record": self.series(window), "expr": f"{self.bad(window)} / ({self.total(window)} > 0)"}
                for window in _WINDOWS]

    def alerts(self):
        """One alert for each severity, on any of its pairs of windows."""
        budget = 1 - self.target
        alerts = []
        for severity in ("page", "ticket"):
            burns = [f"({self.series(long)} > {factor * budget:.6g} and {self.series(short)} > {factor * budget:.6g})"
                     for kind, factor, long, short in _BURNS if kind == severity]
            busy = f"{self.total('1h')} > {self.least_per_second}"
            camel = "".join(word.capitalize() for word in self.name.split("_"))
            alerts.append(_alert(f"Coder{camel}BudgetBurn{severity.capitalize()}",
                                 f"({' or '.join(burns)}) and on() ({busy})", "2m" if severity == "page" else "15m",
                                 severity, f"slo-{self.name.replace('_', '-')}", self.sentence))
        return alerts


def _rate(selector):
    """How often all series of a selector together count, in a window."""
    return lambda window: f"sum(rate({selector}[{window}]))"


def _slower(histogram, labels, bound):
    """How often a histogram observed more than a bucket's bound, and how often anything."""
    total = _rate(f"{histogram}_count{{{labels}}}")
    within = _rate(f"{histogram}_bucket{{{_join(labels, f'le={json.dumps(bound)}')}}}")
    return (lambda window: f"({total(window)} - {within(window)})"), total


def _join(*labels):
    return ",".join(label for label in labels if label)


def _alert(name, expr, hold, severity, runbook, summary):
    return {"alert": name, "expr": expr, "for": hold, "labels": {"severity": severity},
            "annotations": {"summary": summary, "runbook_url": f"{RUNBOOKS}/{runbook}.md"}}


def _objectives():
    slow_calls = _slower("grpc_server_handling_seconds", _API, "1")
    late_events = _slower("coderd_watch_lag_seconds", "", "1")
    late_starts = _slower("coderd_provisioner_job_queue_wait_seconds", _ALL_BUILDS, "60")
    return [
        Objective("api_availability", 0.999,
                  _rate(f'grpc_server_handled_total{{{_API},grpc_code=~"{_SERVER_FAULTS}"}}'),
                  _rate(f"grpc_server_handled_total{{{_API}}}"), 0.01,
                  "API calls fail by the server's fault faster than the 99.9 % objective allows."),
        Objective("api_latency", 0.99, *slow_calls, 0.01,
                  "API calls take over a second more often than the 99 % objective allows."),
        Objective("build_success", 0.95,
                  _rate('coderd_provisionerd_jobs_total{status=~"failed|lease_lost"}'),
                  _rate('coderd_provisionerd_jobs_total{status!="canceled"}'), 0.001,
                  "Workspace builds and imports fail more often than the 95 % objective allows."),
        Objective("build_start_latency", 0.95, *late_starts, 0.001,
                  "Builds wait over a minute for a provisioner more often than the 95 % objective allows."),
        Objective("event_delivery", 0.99, *late_events, 0.01,
                  "Build events reach coderd-api over a second late more often than the 99 % objective allows."),
    ]


def _symptoms():
    def stopped(loop, seconds):
        return f'time() - max(coderd_loop_last_success_timestamp_seconds{{loop="{loop}"}}) > {seconds}'

    return [
        _alert("CoderOutboxOld", "max(coderd_relay_outbox_oldest_seconds) > 30", "1m", "page", "outbox-old",
               "Committed build events have waited over 30 s for their position; watchers are late by as much."),
        _alert("CoderRelayStopped",
               "sum(rate(coderd_relay_sequenced_events_total[5m])) == 0 and on() max(coderd_relay_outbox_rows) > 0", "3m",
               "page", "relay-stopped", "Events wait in the outbox and no pubsub-relay gives them positions."),
        _alert("CoderRelayAbsent", "absent(coderd_relay_head_position)", "5m", "page", "relay-stopped",
               "No pubsub-relay is scraped: none runs, or its monitor is wrong."),
        _alert("CoderStreamDown", "max(coderd_relay_stream_up) == 0", "5m", "ticket", "stream-down",
               "JetStream takes no events; watchers follow the log by polling and nothing is lost."),
        _alert("CoderStreamRewinds", "sum(increase(coderd_relay_rewinds_total[1h])) > 20", "5m", "ticket", "stream-rewinds",
               "The relay compared stream and log anew over 20 times in an hour."),
        _alert("CoderEpochBegun", "sum(increase(coderd_relay_epochs_begun_total[1h])) > 0", "0m", "ticket", "epoch-begun",
               "The database went back in time; every watcher was told to take a snapshot."),
        _alert("CoderStreamConflict", "max(coderd_watch_stream_conflicts) > 0", "0m", "page", "stream-conflict",
               "Two different events were seen at one position; all watches of that replica were ended."),
        _alert("CoderWatchersCutOff", 'sum(increase(coderd_watch_endings_total{reason="FELL_BEHIND"}[15m])) > 10', "5m",
               "ticket", "watchers-cut-off", "Over ten watches were ended in 15 minutes because their readers did not read."),
        _alert("CoderLogPartitionsLate", "sum(increase(coderd_relay_late_partitions_total[1d])) > 0", "10m", "ticket",
               "log-partitions-late", "A partition of the event log was missing when it should have been made long before."),
        _alert("CoderSchedulerStopped", "sum(rate(coderd_scheduler_ticks_total[5m])) == 0", "5m", "page",
               "scheduler-stopped", "No autostart-scheduler completed a tick for five minutes; workspaces do not start."),
        _alert("CoderScheduleLag",
               "histogram_quantile(0.95, sum by (le) (rate(coderd_scheduler_schedule_lag_seconds_bucket[15m]))) > 120",
               "15m", "ticket", "schedule-lag", "Scheduled builds are queued over two minutes after their nominal time."),
        _alert("CoderStartsSkipped",
               'sum(increase(coderd_scheduler_outcomes_total{kind="autostart",outcome="skipped",'
               'reason=~"NO_PROVISIONER|WRITE_FAILED"}[15m])) > 0', "15m", "ticket", "starts-skipped",
               "Scheduled starts are skipped for a reason an operator can mend."),
        _alert("CoderJobsReaped", "sum(increase(coderd_provisioner_jobs_reaped_total[15m])) > 2", "0m", "ticket", "jobs-reaped",
               "Provisioners vanish in the midst of jobs: their leases ran out."),
        _alert("CoderQueueOld",
               "histogram_quantile(0.95, sum by (le) (rate(coderd_provisioner_job_queue_wait_seconds_bucket[15m]))) > 300",
               "10m", "ticket", "queue-old", "Jobs wait over five minutes for a provisioner."),
        _alert("CoderProvisionersGone",
               'sum(coderd_provisioner_jobs{status="pending"}) > 0 and on() sum(coderd_provisioner_acquire_streams) == 0 '
               'and on() sum(coderd_provisioner_jobs{status="running"}) == 0', "5m", "page",
               "provisioners-gone", "Jobs wait and no provisioner asks for any."),
        _alert("CoderDatabasePoolExhausted", "max by (instance) (coderd_database_waiting_callers) > 0", "5m", "ticket",
               "database-pool-exhausted", "Calls of a coderd-api wait for a database session, for five minutes on end."),
        _alert("CoderListenerDeaf", "sum(increase(coderd_listener_check_failures_total[10m])) > 0", "0m", "ticket",
               "listener-deaf", "A service could not reach its own port; it ends itself when that goes on."),
        _alert("CoderDescriptorsShort", "process_open_fds / process_max_fds > 0.8", "10m", "ticket", "listener-deaf",
               "A process has used over 80 % of its file descriptors."),
        _alert("CoderReaperStopped", stopped("job-reaper", 120), "2m", "ticket", "jobs-reaped",
               "No coderd-api looked for lost jobs for two minutes."),
    ]


def groups():
    """Every group of rules, as Prometheus reads them."""
    objectives = _objectives()
    return {"groups": [
        {"name": "coder-suite-objectives", "rules": [rule for each in objectives for rule in each.recordings()]},
        {"name": "coder-suite-burn-rates", "rules": [rule for each in objectives for rule in each.alerts()]},
        {"name": "coder-suite-symptoms", "rules": _symptoms()},
    ]}


def _scalar(value):
    # JSON's strings are YAML's.
    return json.dumps(value, ensure_ascii=False)


def render():
    """The rules as the text of a YAML file."""
    lines = ["# Made by `python3 -m deploy.prometheus.rules`; change that and run it.", "groups:"]
    for group in groups()["groups"]:
        lines += [f"- name: {group['name']}", "  rules:"]
        for rule in group["rules"]:
            prefix = "  - "
            for key, value in rule.items():
                if isinstance(value, dict):
                    lines.append(f"{prefix}{key}:")
                    lines += [f"      {name}: {_scalar(text)}" for name, text in value.items()]
                else:
                    lines.append(f"{prefix}{key}: {_scalar(value)}")
                prefix = "    "
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(render())
    sys.stdout.write(f"wrote {OUTPUT}\n")
