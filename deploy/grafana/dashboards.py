"""The Grafana dashboards, made by code so that every panel looks and asks alike.

`python3 -m deploy.grafana.dashboards` rewrites the JSON files beside this one; a test keeps them the same. Import them,
or mount them where Grafana's sidecar or provisioning finds them; each asks for its Prometheus.
"""

import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).parent
_RATE = "$__rate_interval"
_WIDTH, _HEIGHT, _PER_ROW = 8, 8, 3


def _rate(selector, by=""):
    return f"sum{f' by ({by})' if by else ''} (rate({selector}[{_RATE}]))"


def _quantile(q, histogram, selector="", by=""):
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({histogram}_bucket{selector}[{_RATE}])))"


def _panel(title, unit, *queries, about=""):
    """A graph; each query is (expression, legend)."""
    return {"title": title, "description": about, "unit": unit, "queries": queries}


def _quantiles(title, histogram, about="", selector=""):
    return _panel(title, "s", (_quantile(0.5, histogram, selector), "p50"), (_quantile(0.95, histogram, selector), "p95"),
                  (_quantile(0.99, histogram, selector), "p99"), about=about)


_UNARY = '{grpc_type="unary"}'
_REFUSED = '{grpc_code!~"OK|Canceled"}'

# Dashboard -> title and panels.
_DASHBOARDS = {
    "overview": ("Coder suite: overview", [
        _panel("API calls", "reqps", (_rate(f"grpc_server_handled_total{_UNARY}", "grpc_service"), "{{grpc_service}}")),
        _panel("API errors", "reqps", (_rate(f"grpc_server_handled_total{_REFUSED}", "grpc_code"), "{{grpc_code}}"),
               about="Unknown, Internal, Unavailable and DeadlineExceeded are ours, the others the callers'."),
        _quantiles("API latency", "grpc_server_handling_seconds", selector=_UNARY),
        _panel("Jobs", "short", ("sum by (status) (coderd_provisioner_jobs)", "{{status}}")),
        _panel("Open watches", "short", ("sum by (state) (coderd_watch_watchers)", "{{state}}")),
        _quantiles("Event lag", "coderd_watch_lag_seconds", "From an event's commit to the memory of coderd-api."),
        _panel("Ticks", "short", ("sum(increase(coderd_scheduler_ticks_total[5m])) / 5", "a minute"),
               about="One a minute for each scheduler."),
        _panel("Resident memory", "bytes", ("process_resident_memory_bytes", "{{job}} {{instance}}")),
        _panel("CPU", "short", (f"rate(process_cpu_seconds_total[{_RATE}])", "{{job}} {{instance}}")),
    ]),
    "build-stream": ("Coder suite: build stream", [
        _panel("Events", "short", (_rate("coderd_relay_sequenced_events_total"), "sequenced"),
               (_rate("coderd_relay_published_events_total"), "published"), (_rate("coderd_watch_events_sent_total"), "sent")),
        _panel("Outbox", "short", ("max(coderd_relay_outbox_rows)", "rows")),
        _panel("Oldest event in the outbox", "s", ("max(coderd_relay_outbox_oldest_seconds)", "age")),
        _panel("Positions", "short", ("max(coderd_relay_head_position)", "head"),
               ("max(coderd_relay_confirmed_position)", "confirmed by the stream"),
               ("min(coderd_watch_ring_head_position)", "slowest ring"), about="Lines that part: that link is behind."),
        _quantiles("Lag to coderd-api", "coderd_watch_lag_seconds"),
        _panel("Stream", "short", ("max(coderd_relay_stream_up)", "up"), ("max(coderd_relay_epoch)", "epoch")),
        _panel("Watch endings", "short", (_rate("coderd_watch_endings_total", "reason"), "{{reason}}")),
        _panel("Doubt", "short", ("sum(coderd_watch_stream_gaps)", "gaps"), ("sum(coderd_watch_stream_duplicates)", "duplicates"),
               ("sum(coderd_watch_stream_conflicts)", "conflicts"), about="Conflicts stay 0; gaps are filled from the log."),
        _panel("Rewinds and refusals", "short", (_rate("coderd_relay_rewinds_total"), "rewinds"),
               (_rate("coderd_relay_publish_refusals_total"), "refusals"), (_rate("coderd_relay_stream_repairs_total"), "repairs")),
    ]),
    "scheduler": ("Coder suite: scheduler", [
        _panel("Outcomes", "short", (_rate("coderd_scheduler_outcomes_total", "kind, outcome"), "{{kind}} {{outcome}}")),
        _panel("Skipped, by reason", "short",
               (_rate('coderd_scheduler_outcomes_total{outcome="skipped"}', "reason"), "{{reason}}")),
        _quantiles("Schedule lag", "coderd_scheduler_schedule_lag_seconds", "From when it was due to the queued build."),
        _quantiles("Lag until acquired", "coderd_schedule_lag_seconds", selector='{stage="acquired"}'),
        _quantiles("Lag until succeeded", "coderd_schedule_lag_seconds", selector='{stage="succeeded"}'),
        _panel("Open, caught up, retried", "short", ("max(coderd_scheduler_next_fire_backlog)", "open"),
               (_rate("coderd_scheduler_catch_ups_total"), "caught up"), (_rate("coderd_scheduler_retries_total", "outcome"), "retry {{outcome}}")),
        _quantiles("Duration of a batch", "coderd_scheduler_batch_seconds"),
        _panel("Conflicts", "short", (_rate("coderd_scheduler_conflicts_total", "kind"), "{{kind}}")),
        _quantiles("Duration of a tick", "coderd_lifecycle_autobuild_execution_duration_seconds"),
        _panel("Candidates and decisions", "short", (_rate("coderd_scheduler_candidates_total"), "candidates"),
               (_rate("coderd_scheduler_decisions_total", "kind"), "{{kind}}")),
        _panel("Missed ticks, broken schedules", "short", ("sum(coderd_scheduler_ticks_missed_total)", "missed ticks"),
               ("max(coderd_scheduler_broken_schedules)", "broken schedules")),
    ]),
    "provisioners": ("Coder suite: provisioners", [
        _panel("Queue", "short", ("sum by (provisioner, status) (coderd_provisioner_jobs)", "{{provisioner}} {{status}}")),
        _panel("Slots", "short", ("sum(coderd_provisionerd_slots)", "slots"), ("sum(coderd_provisionerd_jobs_current)", "busy")),
        _quantiles("Wait for a provisioner", "coderd_provisioner_job_queue_wait_seconds"),
        _panel("Jobs ended", "short", (_rate("coderd_provisionerd_jobs_total", "provisioner, status"), "{{provisioner}} {{status}}")),
        _quantiles("Duration of a job", "coderd_provisionerd_job_timings_seconds"),
        _panel("Jobs lost", "short", ("sum by (job_type) (increase(coderd_provisioner_jobs_reaped_total[1h]))", "{{job_type}}")),
    ]),
    "database": ("Coder suite: database sessions and loops", [
        _panel("Sessions", "short", ("sum by (instance, state) (coderd_database_sessions)", "{{instance}} {{state}}")),
        _panel("Waiting callers", "short", ("sum by (instance) (coderd_database_waiting_callers)", "{{instance}}")),
        _panel("Wait for a session", "s",
               (f"{_rate('coderd_database_acquire_seconds_total')} / {_rate('coderd_database_acquires_total')}", "mean")),
        _panel("Trouble", "short", (_rate("coderd_database_connect_failures_total"), "cannot connect"),
               (_rate("coderd_database_sessions_discarded_total"), "discarded"),
               ("sum(coderd_watch_log_failures)", "failed reads of the log")),
        _panel("Passes that failed", "short", (_rate('coderd_loop_passes_total{outcome="failed"}', "loop"), "{{loop}}")),
        _quantiles("Duration of a pass", "coderd_loop_pass_seconds"),
    ]),
}


def expressions():
    """Every query of every panel."""
    return [query[0] for _, panels in _DASHBOARDS.values() for panel in panels for query in panel["queries"]]


def names():
    """The dashboards, each the stem of a file."""
    return sorted(_DASHBOARDS)


def _graph(number, panel):
    source = {"type": "prometheus", "uid": "${prometheus}"}
    return {
        "id": number + 1, "type": "timeseries", "title": panel["title"], "description": panel["description"],
        "datasource": source,
        "gridPos": {"x": number % _PER_ROW * _WIDTH, "y": number // _PER_ROW * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel["unit"], "min": 0, "custom": {"fillOpacity": 8, "showPoints": "never"}},
                        "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [{"refId": chr(ord("A") + place), "datasource": source, "expr": expression, "legendFormat": legend}
                    for place, (expression, legend) in enumerate(panel["queries"])],
    }


def render(name):
    """One dashboard as the text of a JSON file."""
    title, panels = _DASHBOARDS[name]
    return json.dumps({
        "uid": f"coder-suite-{name}", "title": title, "tags": ["coder-suite"], "schemaVersion": 38, "editable": False,
        "refresh": "30s", "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [{"name": "prometheus", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]},
        "panels": [_graph(number, panel) for number, panel in enumerate(panels)],
    }, indent=1) + "\n"


if __name__ == "__main__":
    for each in names():
        (FOLDER / f"{each}.json").write_text(render(each))
    sys.stdout.write(f"wrote {len(names())} dashboards to {FOLDER}\n")
