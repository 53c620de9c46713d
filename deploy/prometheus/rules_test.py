"""Every alert fires when it should and is quiet when it should be, judged by promtool; each has its runbook."""

import json
import pathlib
import subprocess
import tempfile
import unittest

from deploy.prometheus import rules

_PROMTOOL = "/usr/bin/promtool"
_ROOT = pathlib.Path(__file__).resolve().parents[2]

_API = 'grpc_service="coder.api.v1.BuildService",grpc_type="unary"'


def _calls(ok, failed):
    return {f'grpc_server_handled_total{{{_API},grpc_code="OK"}}': f"0+{ok}x2200",
            f'grpc_server_handled_total{{{_API},grpc_code="NotFound"}}': "0+500x2200",
            f'grpc_server_handled_total{{{_API},grpc_code="Unavailable"}}': f"0+{failed}x2200"}


def _observed(histogram, labels, bound, within, total):
    inner = labels + "," if labels else ""
    return {f'{histogram}_bucket{{{inner}le="{bound}"}}': f"0+{within}x2200",
            f"{histogram}_count{{{labels}}}": f"0+{total}x2200"}


def _quantile(histogram, low, high, labels=""):
    """A histogram whose observations all lie between two bounds."""
    inner = labels + "," if labels else ""
    return {f'{histogram}_bucket{{{inner}le="{low}"}}': "0+0x200", f'{histogram}_bucket{{{inner}le="{high}"}}': "0+10x200",
            f'{histogram}_bucket{{{inner}le="+Inf"}}': "0+10x200"}


def _latency(within):
    return _observed("grpc_server_handling_seconds", _API, "1", within, 1000)


def _queue(within):
    return _observed("coderd_provisioner_job_queue_wait_seconds", 'job_type="workspace_build"', "60", within, 100)


def _lag(within):
    return _observed("coderd_watch_lag_seconds", "", "1", within, 1000)


def _jobs(ok, failed):
    return {'coderd_provisionerd_jobs_total{status="succeeded"}': f"0+{ok}x2200",
            'coderd_provisionerd_jobs_total{status="canceled"}': "0+5x2200",
            'coderd_provisionerd_jobs_total{status="failed"}': f"0+{failed}x2200"}


_SKIPPED = 'coderd_scheduler_outcomes_total{kind="autostart",outcome="skipped",reason="%s"}'
_FELL_BEHIND = 'coderd_watch_endings_total{reason="FELL_BEHIND"}'
_PENDING = 'coderd_provisioner_jobs{status="pending"}'
_RUNNING = 'coderd_provisioner_jobs{status="running"}'
_REAPER = 'coderd_loop_last_success_timestamp_seconds{loop="job-reaper"}'

# alert -> (series with which it fires, series with which it is quiet, when it is looked at)
_CASES = {
    "CoderApiAvailabilityBudgetBurnPage": (_calls(1000, 100), _calls(100000, 1), "2h"),
    "CoderApiAvailabilityBudgetBurnTicket": (_calls(10000, 60), _calls(100000, 1), "3d"),
    "CoderApiLatencyBudgetBurnPage": (_latency(700), _latency(1000), "2h"),
    "CoderApiLatencyBudgetBurnTicket": (_latency(950), _latency(1000), "3d"),
    "CoderBuildSuccessBudgetBurnPage": (_jobs(1, 50), _jobs(100, 1), "8h"),
    "CoderBuildSuccessBudgetBurnTicket": (_jobs(10, 10), _jobs(100, 1), "3d"),
    "CoderBuildStartLatencyBudgetBurnPage": (_queue(10), _queue(100), "8h"),
    "CoderBuildStartLatencyBudgetBurnTicket": (_queue(80), _queue(100), "3d"),
    "CoderEventDeliveryBudgetBurnPage": (_lag(500), _lag(1000), "2h"),
    "CoderEventDeliveryBudgetBurnTicket": (_lag(950), _lag(1000), "3d"),
    "CoderOutboxOld": ({"coderd_relay_outbox_oldest_seconds": "45x60"}, {"coderd_relay_outbox_oldest_seconds": "2x60"}, "10m"),
    "CoderRelayStopped": (
        {"coderd_relay_sequenced_events_total": "7x60", "coderd_relay_outbox_rows": "9x60"},
        {"coderd_relay_sequenced_events_total": "7x60", "coderd_relay_outbox_rows": "0x60"}, "20m"),
    "CoderRelayAbsent": ({"up": "1x60"}, {"coderd_relay_head_position": "1x60"}, "20m"),
    "CoderStreamDown": ({"coderd_relay_stream_up": "0x60"}, {"coderd_relay_stream_up": "1x60"}, "20m"),
    "CoderStreamRewinds": ({"coderd_relay_rewinds_total": "0+1x120"}, {"coderd_relay_rewinds_total": "1x120"}, "90m"),
    "CoderEpochBegun": ({"coderd_relay_epochs_begun_total": "0x5 1x60"}, {"coderd_relay_epochs_begun_total": "1x60"}, "10m"),
    "CoderStreamConflict": ({"coderd_watch_stream_conflicts": "1x60"}, {"coderd_watch_stream_conflicts": "0x60"}, "10m"),
    "CoderWatchersCutOff": ({_FELL_BEHIND: "0+2x60"}, {_FELL_BEHIND: "40x60"}, "40m"),
    "CoderLogPartitionsLate": ({"coderd_relay_late_partitions_total": "0x5 1x60"},
                               {"coderd_relay_late_partitions_total": "4x60"}, "30m"),
    "CoderSchedulerStopped": ({"coderd_scheduler_ticks_total": "7x60"}, {"coderd_scheduler_ticks_total": "0+1x60"}, "20m"),
    "CoderScheduleLag": (_quantile("coderd_scheduler_schedule_lag_seconds", "120", "300"),
                         _quantile("coderd_scheduler_schedule_lag_seconds", "30", "60"), "60m"),
    "CoderStartsSkipped": ({_SKIPPED % "NO_PROVISIONER": "0+1x60"}, {_SKIPPED % "TEMPLATE_FORBIDS": "0+1x60"}, "50m"),
    "CoderJobsReaped": ({'coderd_provisioner_jobs_reaped_total{job_type="workspace_build"}': "0+1x60"},
                        {'coderd_provisioner_jobs_reaped_total{job_type="workspace_build"}': "3x60"}, "30m"),
    "CoderQueueOld": (_quantile("coderd_provisioner_job_queue_wait_seconds", "300", "600"),
                      _quantile("coderd_provisioner_job_queue_wait_seconds", "1", "5"), "60m"),
    "CoderProvisionersGone": (
        {_PENDING: "3x60", _RUNNING: "0x60", "coderd_provisioner_acquire_streams": "0x60"},
        {_PENDING: "3x60", _RUNNING: "2x60", "coderd_provisioner_acquire_streams": "0x60"}, "20m"),
    "CoderDatabasePoolExhausted": ({'coderd_database_waiting_callers{instance="a"}': "4x60"},
                                   {'coderd_database_waiting_callers{instance="a"}': "0x60"}, "20m"),
    "CoderListenerDeaf": ({"coderd_listener_check_failures_total": "0x5 2x60"},
                          {"coderd_listener_check_failures_total": "2x60"}, "10m"),
    "CoderDescriptorsShort": ({'process_open_fds{instance="a"}': "90x60", 'process_max_fds{instance="a"}': "100x60"},
                              {'process_open_fds{instance="a"}': "10x60", 'process_max_fds{instance="a"}': "100x60"}, "30m"),
    "CoderReaperStopped": ({_REAPER: "0x60"}, {_REAPER: "0+60x60"}, "20m"),
}
# Labels that an alert's series keep.
_KEPT = {"CoderDatabasePoolExhausted": {"instance": "a"}, "CoderDescriptorsShort": {"instance": "a"}}


def _alerts():
    return {rule["alert"]: rule for group in rules.groups()["groups"] for rule in group["rules"] if "alert" in rule}


def _is_objective(name):
    return "BudgetBurn" in name


def _unit_test(alert, series, at, fires):
    expected = [{"exp_labels": {**alert["labels"], **_KEPT.get(alert["alert"], {})},
                 "exp_annotations": alert["annotations"]}] if fires else []
    return {"interval": "2m" if _is_objective(alert["alert"]) else "1m", "name": f"{alert['alert']} {'fires' if fires else 'is quiet'}",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "alert_rule_test": [{"eval_time": at, "alertname": alert["alert"], "exp_alerts": expected}]}


class RulesTest(unittest.TestCase):
    def promtool(self, *arguments):
        done = subprocess.run([_PROMTOOL, *arguments], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_file_is_what_the_code_makes(self):
        self.assertEqual(rules.OUTPUT.read_text(), rules.render(), "run: python3 -m deploy.prometheus.rules")
        self.promtool("check", "rules", str(rules.OUTPUT))

    def test_every_alert_fires_and_is_quiet_in_time(self):
        alerts = _alerts()
        self.assertEqual(set(alerts), set(_CASES), "every alert has a case, and every case an alert")
        # Days of an objective are not gone through minute by minute.
        for objectives, interval in ((True, "30m"), (False, "1m")):
            tests = []
            for name, (firing, quiet, at) in _CASES.items():
                if _is_objective(name) == objectives:
                    tests += [_unit_test(alerts[name], firing, at, fires=True),
                              _unit_test(alerts[name], quiet, at, fires=False)]
            self.check_cases(interval, tests)

    def check_cases(self, interval, tests):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "tests.yaml"
            # promtool reads YAML, of which JSON is a part.
            order = [group["name"] for group in rules.groups()["groups"]]
            file.write_text(json.dumps({"rule_files": [str(rules.OUTPUT)], "evaluation_interval": interval,
                                        "group_eval_order": order, "tests": tests}))
            self.promtool("test", "rules", str(file))

    def test_every_alert_has_a_runbook_that_names_it(self):
        named = set()
        for name, alert in _alerts().items():
            page = _ROOT / alert["annotations"]["runbook_url"]
            named.add(page.name)
            self.assertTrue(page.is_file(), f"{name} points to {page}, which is not there")
            self.assertIn(f"`{name}`", page.read_text(), f"{page.name} does not name {name}")
        pages = {page.name for page in (_ROOT / rules.RUNBOOKS).glob("*.md")} - {"README.md"}
        self.assertEqual(pages, named, "every runbook belongs to an alert")


if __name__ == "__main__":
    unittest.main()
