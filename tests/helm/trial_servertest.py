"""The trial on real parts: what its manifests say is run, with a real PostgreSQL and a real NATS in their pods' places."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from deploy.local import account, data_dir, nats, ports, postgres, processes
from tests.helm import chart, node, release
from tools.dev import chart_values, tests_need

_NATS_SERVER = "/usr/sbin/nats-server"


class Trial(unittest.TestCase):
    """One installation, in the order in which a cluster comes up."""

    @classmethod
    def setUpClass(cls):
        # Under /tmp, where PostgreSQL's account can follow when the test runs as root.
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="ct-", dir="/tmp"))
        cls.folder.chmod(0o755)
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        helm = chart.Helm(tests_need.program("CODER_TEST_HELM"))
        cls.addClassCleanup(helm.close)
        cls.release = release.Release(chart.documents(helm.case("trial")))
        cls.node = node.Node(cls.folder, cls.release)
        cls.data = data_dir.DataDir(cls.folder / "data")
        cls.data.prepare()
        cls.node.choose_ports(cls.data.ports)
        cls.processes = processes.Processes(cls.data)
        cls.addClassCleanup(cls._stop)
        cls._start_postgres()
        cls._start_nats()

    @classmethod
    def _stop(cls):
        for name in [*chart_values.COMPONENTS.values(), nats.NAME]:
            cls.processes.stop(name)
        cls.processes.stop(postgres.NAME, stop_signal=postgres.STOP_SIGNAL)

    def run(self, result=None):
        """Shows the ends of the services' logs with every failure: the folder is gone afterwards."""
        result = result if result is not None else self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            for name in chart_values.COMPONENTS.values():
                print(f"--- the end of {name}'s log\n{self.processes.log_tail(name, 25)}", flush=True)
        return result

    @classmethod
    def _start_postgres(cls):
        """A server as the image has it: without the roles and the database, which roles.sh of the manifests makes."""
        port = cls.node.ports["trial-postgres", "postgres"]
        server = postgres.Postgres(cls.data, cls.processes, port)
        server.start()
        admin = server.url("postgres", "postgres")
        psql = postgres.programs_dir() / "psql"
        for statement in (f"DROP DATABASE {postgres.DATABASE}",
                          f"DROP ROLE {', '.join((postgres.OWNER, *postgres.SERVICE_ROLES))}"):
            subprocess.run([psql, "-q", "-c", statement, admin], check=True, stdin=subprocess.DEVNULL)
        _, pod = release.pod_of(cls.release.component("trial-postgres"))
        secret = cls.release.named("Secret", "coder-coder-suite-trial-postgres")["stringData"]
        environment = {variable["name"]: secret[variable["valueFrom"]["secretKeyRef"]["key"]]
                       for variable in pod["containers"][0]["env"] if "valueFrom" in variable}
        script = cls.release.named("ConfigMap", "coder-coder-suite-trial-postgres")["data"]["roles.sh"]
        subprocess.run(["sh", "-c", script], check=True, stdin=subprocess.DEVNULL,
                       env=dict(os.environ, **environment, PGHOST=ports.HOST, PGPORT=str(port),
                                PGPASSWORD=cls.data.secret("postgres"),
                                PATH=f"{postgres.programs_dir()}:{os.environ['PATH']}"))

    @classmethod
    def _start_nats(cls):
        port = cls.node.ports["trial-nats", "nats"]
        _, pod = release.pod_of(cls.release.component("trial-nats"))
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        config = cls.node.volume("trial-nats", volumes["config"]) / "nats.conf"
        store = cls.node.volume("trial-nats", volumes["data"])
        config.write_text(config.read_text().replace("0.0.0.0:4222", f"{ports.HOST}:{port}").replace('"/data"', f'"{store}"'))
        cls.processes.start(nats.NAME, [_NATS_SERVER, "-c", config])

    def _pod(self, component):
        return release.pod_of(self.release.component(component))[1]

    def _probe(self, component, name):
        (container,) = self._pod(component)["containers"]
        get = container[f"{name}Probe"]["httpGet"]
        return processes.answers_http(self.node.ports[component, get["port"]], get["path"])

    def _start(self, component):
        """Starts the pod: its init containers to their ends, then its container until it is ready."""
        pod = self._pod(component)
        for container in pod.get("initContainers", []):
            done = self.node.run(component, pod, container)
            self.assertEqual(done.returncode, 0, done.stderr)
        (container,) = pod["containers"]
        command = self.node.listening(self.node.command(component, pod, container), component, container)
        engine = pathlib.Path(tests_need.program("CODER_TEST_ENGINE")).parent
        self.processes.start(component, command, {"PATH": f"{engine}:{os.environ['PATH']}"})
        self.processes.wait_ready(component, lambda: self._probe(component, "readiness"))
        for probe in ("startup", "liveness"):
            self.assertTrue(self._probe(component, probe), f"{component}: {probe}")

    def test_the_manifests_make_a_suite(self):
        self._start("coderd-api")
        self._start("pubsub-relay")
        address = f"{ports.HOST}:{self.node.ports['coderd-api', 'grpc']}"
        person = account.Account(self.data, address)
        person.log_in()
        person.ensure_provisioner_key()
        self.node.given["coder-provisioner-key"] = {"provisioner-key": self.data.provisioner_key.read_text()}
        self._start("provisionerd")
        self._start("autostart-scheduler")
        self._check_scrapes()
        self._check_the_release_test()
        self._check_without_postgres()
        self._check_stops()

    def _check_scrapes(self):
        for component in chart_values.COMPONENTS.values():
            self.assertTrue(processes.answers_http(self.node.ports[component, "admin"], "/metrics"), component)

    def _check_the_release_test(self):
        """What `helm test` runs."""
        (test,) = self.release.of("Pod")
        (container,) = test["spec"]["containers"]
        done = self.node.run("test", test["spec"], container)
        self.assertEqual(done.returncode, 0, done.stderr)

    def _check_without_postgres(self):
        """Without its database coderd-api is not ready, and lives on."""
        self.processes.stop(postgres.NAME, stop_signal=postgres.STOP_SIGNAL)
        self.processes.wait_ready("coderd-api", lambda: not self._probe("coderd-api", "readiness"))
        self.assertTrue(self._probe("coderd-api", "liveness"))

    def _check_stops(self):
        for component in reversed(list(chart_values.COMPONENTS.values())):
            grace = self._pod(component)["terminationGracePeriodSeconds"]
            self.assertTrue(self.processes.stop(component, grace_s=grace), component)
            last = self.processes.log_path(component).read_text().splitlines()[-1]
            self.assertTrue(re.search(r'"msg": ?"stopped"', last), last)


if __name__ == "__main__":
    unittest.main()
