"""What operators and foreign clients rely on: reflection, health, metrics, small processes, data that stay."""

import pathlib
import re
import subprocess
import unittest
import urllib.request

from deploy.grafana import dashboards
from deploy.local import event_log, metrics, ports, processes, services
from deploy.prometheus import rules
from tests.e2e import harness
from tools.dev import places

_PROMTOOL = "/usr/bin/promtool"
_MOST_IDLE_KIB = 40 * 1024


class OperationsTest(harness.SuiteTest):
    # The services without a port of their own for clients serve health all the same.
    flags = {name: [f"--grpc-port-file={name}.port"] for name in services.NAMES}

    def grpc_address(self, name):
        """Where the service serves gRPC; it wrote its port to a file."""
        return f"{ports.HOST}:{(self.local.data.path / f'{name}.port').read_text().strip()}"

    def test_a_foreign_client_finds_the_services_and_calls_them(self):
        client = self.grpcurl()
        listed = client.list()
        for name in ("coder.api.v1.WorkspaceService", "coder.api.v1.WatchService",
                     "coder.provisioner.v1.ProvisionerService", "coder.lifecycle.v1.LifecycleService",
                     "grpc.health.v1.Health"):
            self.assertIn(name, listed)
        anybody = harness.Grpcurl(self.local.api_address())
        info = anybody.call("coder.api.v1.DeploymentService/GetDeploymentInfo", {})
        self.assertEqual(info.messages[0].get("access_url"), f"http://{self.local.api_address()}", str(info.messages))
        self.assertEqual(client.call("coder.api.v1.AuthService/WhoAmI", {}).messages[0]["user"]["username"], "admin")
        self.assertEqual(client.call("coder.api.v1.WorkspaceService/ListWorkspaces", {"pageSize": 1}).code, "OK")
        refused = anybody.call("coder.api.v1.WorkspaceService/ListWorkspaces", {})
        self.assertEqual((refused.code, refused.reason), ("UNAUTHENTICATED", "TOKEN_MISSING"))

    def test_every_service_tells_its_health_by_name(self):
        for name in services.NAMES:
            with self.subTest(service=name):
                client = harness.Grpcurl(self.grpc_address(name))
                self.assertIn("grpc.health.v1.Health", client.list())
                for asked in ("", name):
                    answer = client.call("grpc.health.v1.Health/Check", {"service": asked})
                    self.assertEqual(answer.messages, [{"status": "SERVING"}], f"{asked}: {answer}")
                unknown = client.call("grpc.health.v1.Health/Check", {"service": "nobody"})
                self.assertEqual(unknown.code, "NOT_FOUND")

    def test_the_watch_has_a_health_name_of_its_own(self):
        client = self.grpcurl()
        answer = client.call("grpc.health.v1.Health/Check", {"service": "coder.api.v1.WatchService"})
        self.assertEqual(answer.messages, [{"status": "SERVING"}], str(answer))

    def test_every_admin_port_answers_and_its_metrics_are_well_formed(self):
        for name in services.NAMES:
            with self.subTest(service=name):
                port = self.local.ports[f"{name} admin"]
                self.assertTrue(processes.answers_http(port, "/livez"))
                self.assertTrue(processes.answers_http(port, "/readyz"))
                self.assertFalse(processes.answers_http(port, "/nothing"))
                with urllib.request.urlopen(f"http://{ports.HOST}:{port}/metrics", timeout=10) as response:
                    scrape = response.read()
                self.assertIn(b"coderd_build_info{", scrape)
                checked = subprocess.run([_PROMTOOL, "check", "metrics"], input=scrape, capture_output=True)
                self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, b""))

    def test_every_metric_of_a_rule_or_panel_is_served_by_a_running_service(self):
        served = set()
        for name in services.NAMES:
            port = self.local.ports[f"{name} admin"]
            with urllib.request.urlopen(f"http://{ports.HOST}:{port}/metrics", timeout=10) as response:
                served |= set(re.findall(r"^([a-z_]+)[{ ]", response.read().decode(), re.M))
        queries = "\n".join([rules.render(), *dashboards.expressions()])
        asked = set(re.findall(r"\b((?:coderd|grpc|process)_[a-z_]+)", queries))
        labels = set(re.findall(r"\b(grpc_\w+)(?:=|!|[,)])", queries))
        self.assertGreater(len(asked), 20)
        self.assertEqual(asked - served - labels, set())

    def test_the_catalogue_of_metrics_is_what_the_services_serve(self):
        page = (places.ROOT / metrics.PATH).read_text()
        self.assertEqual(metrics.render_running(self.local), page, "run ./dev metrics --update")

    def test_an_idle_service_is_small(self):
        for name in services.NAMES:
            with self.subTest(service=name):
                status = pathlib.Path(f"/proc/{self.pid(name)}/status").read_text()
                resident = int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M).group(1))
                print(f"{name}: {resident / 1024:.1f} MiB resident")
                self.assertLess(resident, _MOST_IDLE_KIB)

    def test_data_and_tokens_survive_down_and_up(self):
        self.push_echo("quick")
        self.coderctl.do("create", "kept", "--template", "quick")
        self.wait_for("kept", "succeeded")
        token = self.events.close()
        before = self.events.all()
        self.local.down()
        self.assertEqual(self._our_processes(), {})
        self.local.start_servers()
        self.local.start_services()
        self.assertEqual(self.show("kept")["status"], "WORKSPACE_STATUS_RUNNING")
        resumed = self.coderctl.watch("--from", token)
        self.addCleanup(resumed.close)
        self.coderctl.do("stop", "kept")
        resumed.wait_for(lambda event: event_log.story([event]) == [("stop", "cli", "succeeded")], 60, lambda left: None)
        self.assert_dense(before + resumed.all())
        self.assertEqual(len(resumed.all()), 3)


if __name__ == "__main__":
    unittest.main()
