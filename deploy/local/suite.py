"""The local suite: PostgreSQL, NATS and the four services, started and stopped in order."""

import os
import shutil
import subprocess
import time

from deploy.local import account, box, nats, ports, postgres, processes, services
from tools.dev import bazel, engine, places, say

_SERVERS = [postgres.NAME, nats.NAME]
# In the order they start; they stop in the reverse.
NAMES = _SERVERS + services.NAMES


class Suite:
    """The suite of one data directory.  The caller holds the directory's lock."""

    def __init__(self, data, provisioners=("terraform", "echo"), engine_files=None, flags=None, replicas=None,
                 environment=None):
        """A suite whose parts differ from the usual where arguments say so.

        `engine_files` are (program, configuration) of the engine instead of the one ./dev provides.  `flags` maps an
        instance's name to options on top of its usual ones, `environment` to variables likewise, `replicas` the names of
        further instances to their services.
        """
        self.data = data
        self.provisioners = provisioners
        self.instances = {name: name for name in services.NAMES} | (replicas or {})
        self.names = _SERVERS + list(self.instances)
        self._engine_files = engine_files
        self._flags = flags or {}
        self._environment = environment or {}
        self.processes = processes.Processes(data)
        self.ports = {}
        self.postgres = None
        self.nats = None

    def running(self):
        """Names of the processes that run now."""
        return [name for name in self.names if self.processes.find(name)]

    def connect(self, fixed=None):
        """Settles the ports, so that addresses can be told."""
        held = self.running()
        held_ports = [name for name in self.port_names() if name.split()[0] in held]
        self.ports = ports.assign(self.port_names(), self.data.ports, fixed, held_ports)
        self.postgres = postgres.Postgres(self.data, self.processes, self.ports[postgres.NAME])
        self.nats = nats.Nats(self.data, self.processes, self.ports[nats.NAME])

    def read_ports(self):
        """Takes over the ports of the last start, without checking or changing them."""
        self.ports = ports.remembered(self.data.ports)

    def port_names(self):
        """Every port the suite needs, by name."""
        return _SERVERS + services.port_names(self.instances)

    def start_servers(self):
        """Starts PostgreSQL and NATS unless they run."""
        for name, server in ((postgres.NAME, self.postgres), (nats.NAME, self.nats)):
            if not self.processes.find(name):
                say.step(f"starting {name}")
                server.start()

    def _migrate(self):
        say.step("bringing the database schema up to date")
        environment = dict(os.environ, CODER_POSTGRES_URL=self.postgres.url(postgres.OWNER))
        command = [str(part) for part in services.migrate_command()]
        if subprocess.run(command, env=environment, stdin=subprocess.DEVNULL).returncode != 0:
            raise say.Problem("the migration failed; its message is above, the database is as it was before the "
                              "migration that failed")

    def _make_secret(self, path, command):
        """Writes what coderd-api makes up into a private file, once."""
        if path.exists():
            return
        made = subprocess.run([str(services.program("coderd-api")), command], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        if made.returncode != 0:
            raise say.Problem(f"coderd-api {command} failed:\n{made.stderr.rstrip()}")
        self.data.write_private(path, made.stdout)

    def prepare_services(self):
        """Migrates and settles what the services are told; returns the wiring."""
        program, config = self._engine_files or engine.prepare()
        self._make_secret(self.data.keyring, "new-key")
        self._make_secret(self.data.service_token, "new-service-token")
        self._migrate()
        apis = [name for name, service in self.instances.items() if service == "coderd-api"]
        return services.Wiring(self.postgres, self.nats, self.ports, program, config, self.data, self.provisioners, apis)

    def start_service(self, name, wiring):
        """Starts one instance unless it runs, and waits until it is ready."""
        if self.processes.find(name):
            return
        say.step(f"starting {name}")
        service = services.by_name(self.instances[name])
        command = services.command(service, name, wiring, self._flags.get(name, ()))
        self.processes.start(name, command, service.environment(wiring) | self._environment.get(name, {}))
        admin = self.ports[f"{name} admin"]
        self.processes.wait_ready(name, lambda: processes.answers_http(admin, "/readyz"))

    def account(self):
        """The launcher's own account at the running API."""
        return account.Account(self.data, self.api_address())

    def api_address(self, instance="coderd-api"):
        """host:port of the API."""
        return f"{ports.HOST}:{self.ports[instance + ' grpc']}"

    def start_services(self):
        """Starts all four and the replicas; a new deployment gets its first user and a provisioner key on the way.

        Returns the wiring.
        """
        wiring = self.prepare_services()
        self.start_service("coderd-api", wiring)
        admin = self.account()
        admin.log_in()
        admin.ensure_provisioner_key()
        admin.ensure_token()
        for name in self.instances:
            self.start_service(name, wiring)
        return wiring

    def up(self, fixed=None):
        """Builds and starts all; what was started is stopped again when a part does not come up."""
        self.data.prepare()
        before = self.running()
        if before and len(before) < len(self.names):
            say.note(f"running already: {', '.join(before)}")
        self.connect(fixed)
        say.step("building the services")
        bazel.build(services.build_targets())
        try:
            self.start_servers()
            self.start_services()
        except BaseException:
            self.down(keep=before)
            raise

    def down(self, keep=()):
        """Stops what runs, in reverse order of starting, except the named; returns what was stopped."""
        stopped = []
        for name in reversed(self.names):
            if name not in keep and self.processes.find(name):
                say.step(f"stopping {name}")
                stop_signal = {"stop_signal": postgres.STOP_SIGNAL} if name == postgres.NAME else {}
                self.processes.stop(name, **stop_signal)
                stopped.append(name)
        return stopped

    def delete(self):
        """Removes what the stopped suite kept: its data directory and provisionerd's folder beside it."""
        shutil.rmtree(services.work_dir(self.data), ignore_errors=True)
        self.data.delete()

    def box(self):
        """What a person needs to know of the running suite."""
        rows = [("API (gRPC)", f"http://{ports.HOST}:{self.ports['coderd-api grpc']}"),
                ("log in as", f"{account.EMAIL}, password {self.data.secret(account.PASSWORD)}"),
                ("token", self.data.api_token.read_text().strip()),
                ("coderctl", f"{services.coderctl().relative_to(places.ROOT)} --config-dir={self.data.coderctl} list")]
        rows += [(f"{name} admin", f"http://{ports.HOST}:{self.ports[name + ' admin']}/metrics")
                 for name in services.NAMES]
        rows += [("PostgreSQL", f"{ports.HOST}:{self.ports[postgres.NAME]}, database {postgres.DATABASE}"),
                 ("NATS", f"{ports.HOST}:{self.ports[nats.NAME]}"),
                 ("data", str(self.data.path)),
                 ("passwords", str(self.data.path / "secrets.json")),
                 ("stop", "./dev down   (data stay; ./dev reset deletes them)")]
        return box.draw("coder-suite is up", rows)

    def status_rows(self):
        """(name, what it does) for every process."""
        rows = []
        for name in self.names:
            known = self.processes.find(name)
            if known is None:
                rows.append((name, "stopped"))
                continue
            age = int(time.time() - known.since)
            health = ""
            if name in self.instances:
                ready = processes.answers_http(self.ports[f"{name} admin"], "/readyz")
                health = ", ready" if ready else ", not ready"
            rows.append((name, f"running{health}, pid {known.pid}, {age // 3600}:{age // 60 % 60:02}:{age % 60:02}"))
        return rows
