"""The suite under test: real servers and services, the load upon them, and what the tables say."""

import collections
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from deploy.local import account, data_dir, event_log, ports, postgres, processes, services, suite
from tests.faults import board, checker, proxy, stream_order
from tools.dev import places, say

# A lease short enough that a killed provisioner's jobs end within a round.
LEASE_S = 3
CONVERGES_S = 10
# The slow watch pauses after each message, so what waits for it takes it longer.
_SLOW_CONVERGES_S = 60
_STEP_S = 0.05
# What JetStream may keep, and one who fills it.
MAX_FILE = 192 << 20
FILLER = "filler"
_LOAD = {"writers": 4, "workspaces": 4, "pause_ms": 20}
_CALM_LOAD = {"writers": 1, "workspaces": 4, "pause_ms": 2000}
_API_2 = "coderd-api-2"
_RELAY_2 = "pubsub-relay-2"
_PAIRED = {"provisionerd-2": "provisionerd", "autostart-scheduler-2": "autostart-scheduler"}

# What a fault needs its suite to be: how many relays it has, that the log may go back, that it admits very many watches,
# that little is written, because each event is sent as often as there are watches, that it has two of the other services, too.
Kind = collections.namedtuple("Kind", "relays sets_back crowded calm pairs", defaults=(1, False, False, False, False))

TEMPLATE = {"start": {"delay_ms": 60, "log": ["one", "two"]},
            "stop": {"delay_ms": 30, "log": ["one"], "error": "this build fails", "fail_percent": 10}}

_VERSIONS = "SELECT id, owner_id, event_version FROM workspaces"
_BUILDS = ("SELECT b.id, b.workspace_id, b.build_number, j.status FROM workspace_builds b "
           "JOIN provisioner_jobs j ON j.id = b.job_id")


def wait_for(what, probe, timeout_s):
    """Calls `probe` until it returns something true and returns that; AssertionError after the time."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s} s")
        time.sleep(_STEP_S)


class World:
    """Everything a fault may touch.  One thread drives it; another reads the load's history."""

    def __init__(self, seed, kind=Kind(), quiet=True, template=None, engine_files=None):
        """`template` is what the load builds, as echo.json says it; `engine_files` as deploy.local.suite.Suite takes them."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coder-faults-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.seed = seed
        data = data_dir.DataDir(self.folder / "data")
        data.prepare()
        replicas = {_API_2: "coderd-api"} | ({_RELAY_2: "pubsub-relay"} if kind.relays > 1 else {})
        replicas |= _PAIRED if kind.pairs else {}
        instances = {name: name for name in services.NAMES} | replicas
        self.boards = {name: board.Board(self.folder / f"{name}.board", service)
                       for name, service in instances.items()}
        self._environment = {name: {"CODER_FAILPOINTS": str(self.boards[name].path)} for name in instances}
        of_api = [f"--lease-duration={LEASE_S}s"] + (["--max-watches-per-caller=30000"] if kind.crowded else [])
        of_relay = [f"--stream-max-bytes={MAX_FILE // 3}"]
        # Looked at whenever an instance is started.
        self.flags = {"coderd-api": of_api, _API_2: of_api, "provisionerd": ["--slots=4"],
                      "provisionerd-2": ["--slots=4"], "pubsub-relay": of_relay, _RELAY_2: of_relay}
        provisioners = ("terraform", "echo") if engine_files else ("echo",)
        self.local = suite.Suite(data, provisioners=provisioners, engine_files=engine_files or ("/bin/false", "/dev/null"),
                                 flags=self.flags, replicas=replicas, environment=self._environment)
        if quiet:
            say.step = lambda text: None
        self._lock = threading.Lock()
        self._load = None
        self._reader = None
        self._kind = kind
        self._template = template or TEMPLATE
        self._is_ending = False
        self.checker = None
        self.stream_order = stream_order.StreamOrder()
        self.begun = threading.Event()
        self.proxies = []
        # How streams began and ended and which calls were repeated, of late.
        self._turns = collections.deque(maxlen=40)

    # Life.

    def start(self):
        """Brings everything up, with the load upon it."""
        self.bring_up()
        self.begin_load()

    def bring_up(self):
        """Servers and services, with what the load needs of them."""
        self.local.connect()
        self.local.nats.max_file = MAX_FILE
        self.local.nats.permissions[FILLER] = {"publish": ["$JS.API.STREAM.*.FILLER", FILLER], "subscribe": ["_INBOX.>"]}
        self.local.start_servers()
        self._put_proxies_between()
        self.wiring = self.local.start_services()
        command = account.Account(self.local.data, self.local.api_address()).command
        self.coderctl = command
        self._member_token = self._make_member()
        self.push_template("faults", self._template)
        member = self.query("SELECT id FROM users WHERE username = 'mia'")[0][0]
        self.checker = checker.Checker(member=member, log_may_be_set_back=self._kind.sets_back)

    def _put_proxies_between(self):
        """The API's way to the database and the relay's way to NATS can be cut."""
        self.database_way = proxy.Proxy(self.local.ports[postgres.NAME])
        self.stream_way = proxy.Proxy(self.local.ports["nats"])
        self.proxies = [self.database_way, self.stream_way]
        api_url = self.local.postgres.url("coder_api").replace(
            f":{self.local.ports[postgres.NAME]}/", f":{self.database_way.port}/")
        relay_url = self.local.nats.url("pubsub-relay").replace(
            f":{self.local.ports['nats']}", f":{self.stream_way.port}")
        self._environment["coderd-api"]["CODER_POSTGRES_URL"] = api_url
        self._environment["pubsub-relay"]["CODER_NATS_URL"] = relay_url

    def run_coderctl(self, *arguments, **environment):
        """What the first user's command printed."""
        done = subprocess.run(self.coderctl(*arguments), env=dict(os.environ, **environment),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"coderctl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def _make_member(self):
        password = {"CODER_PASSWORD": "correct horse battery"}
        self.run_coderctl("users", "create", "mia", "--email", "mia@example.com", **password)
        url = f"http://{self.local.api_address()}"
        mine = [str(services.coderctl()), f"--config-dir={self.folder / 'mia'}", f"--url={url}"]
        for arguments in (["login", url, "--email=mia@example.com"], ["tokens", "create", "mine"]):
            done = subprocess.run([*mine, *arguments], env=dict(os.environ, **password), stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=60)
            if done.returncode != 0:
                raise AssertionError(f"coderctl {arguments[0]}: {done.stderr}")
        return done.stdout.strip()

    def push_template(self, name, answers):
        """Makes a template of the echo engine's answers."""
        folder = self.folder / "templates" / name
        folder.mkdir(parents=True)
        (folder / "echo.json").write_text(json.dumps(answers))
        self.run_coderctl("templates", "push", str(folder), "--name", name, "--provisioner", "echo")

    def begin_load(self, **more):
        """Clients that write and watch; `more` are further settings of fault_load."""
        program = places.built() / "tests/faults/fault_load"
        template = self.query("SELECT id FROM templates WHERE name = 'faults'")[0][0]
        apis = ",".join(self.local.api_address(name) for name in self.apis())
        settings = {"addresses": apis, "admin": self.local.data.api_token.read_text().strip(), "member": self._member_token,
                    "owners": "admin,mia", "template": template, "seed": self.seed % 100000, "watchers": 3,
                    **(_CALM_LOAD if self._kind.calm else _LOAD), **more}
        self._load = subprocess.Popen([str(program), *(f"{name}={value}" for name, value in settings.items())],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self.begun.wait(30):
            raise AssertionError("not every watcher has its first snapshot within 30 s")

    def _read(self):
        with open(self.folder / "history.jsonl", "w", buffering=1) as kept:
            for text in self._load.stdout:
                kept.write(text)
                line = json.loads(text)
                with self._lock:
                    self.checker.feed(line)
                    if line["kind"] in ("open", "end", "retry", "refused"):
                        self._turns.append(text.rstrip())
                if line["kind"] == "begun":
                    self.begun.set()

    def stop(self):
        """Ends everything and removes what was kept."""
        if self._load and self._load.poll() is None:
            self._load.kill()
            self._load.wait()
        if self._reader:
            self._reader.join(timeout=10)
        for name in list(self.local.instances) + ["nats", postgres.NAME]:
            known = self.local.processes.find(name)
            if known:
                os.kill(known.pid, signal.SIGCONT)
                self.local.processes.stop(name, signal.SIGKILL if name != postgres.NAME else signal.SIGQUIT)
        for way in self.proxies:
            way.close()
        for name in self.local.instances:
            shutil.rmtree(services.work_dir(self.local.data, name), ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    # What is there.

    def apis(self):
        """Instances of the API."""
        return [name for name, service in self.local.instances.items() if service == "coderd-api"]

    def relays(self):
        """Instances of the relay."""
        return [name for name, service in self.local.instances.items() if service == "pubsub-relay"]

    def pid(self, name):
        """Of a process that runs, else None."""
        known = self.local.processes.find(name)
        return known.pid if known else None

    def _psql(self, script, role, secret=None):
        url = f"postgres://{role}:{self.local.data.secret(secret or role)}@{ports.HOST}:" \
              f"{self.local.ports[postgres.NAME]}/{postgres.DATABASE}"
        command = [str(postgres.programs_dir() / "psql"), "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", url,
                   "-c", script]
        try:
            return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"{script}: no answer within 30 s") from late

    def environment(self, name):
        """Variables on top of an instance's usual ones, to be changed; they count from its next start."""
        return self._environment[name]

    def query(self, sql, role=postgres.OWNER):
        """Rows of texts."""
        done = self._psql(sql, role)
        if done.returncode != 0:
            raise AssertionError(f"{sql}: {done.stderr}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def truth(self):
        """The tables as they are now."""
        versions, owners = {}, {}
        for workspace, owner, version in self.query(_VERSIONS):
            versions[workspace], owners[workspace] = int(version), owner
        builds = {build: (workspace, int(number), "JOB_STATUS_" + status.upper())
                  for build, workspace, number, status in self.query(_BUILDS)}
        return checker.Truth(versions, owners, builds)

    # What a fault does.

    def kill(self, name):
        """As power loss would."""
        if self.pid(name):
            self.local.processes.stop(name, signal.SIGKILL)

    def send(self, name, number):
        os.kill(self.pid(name), number)

    def drain(self, name, grace_s, stop_signal=signal.SIGTERM):
        """Asks the instance to leave and waits for that; its exit status.  AssertionError after the grace."""
        self.send(name, stop_signal)
        wait_for(f"{name} leaves after {stop_signal.name}", lambda: self.pid(name) is None, grace_s)
        return self.local.processes.exit_status(name)

    def dismiss(self, name):
        """The instance has left for good: nobody starts it again."""
        service_folder = services.work_dir(self.local.data, name)
        del self.local.instances[name]
        shutil.rmtree(service_folder, ignore_errors=True)

    def restart(self, name):
        """Starts it and waits until it is ready; again if it was killed on the way."""
        for _ in range(3):
            try:
                return self.local.start_service(name, self.wiring)
            except say.Problem:
                if self.pid(name):
                    raise
        raise AssertionError(f"{name} does not start:\n{self.local.processes.log_tail(name)}")

    def supervise(self):
        """Starts what has ended by itself, as whatever supervises services does; a crash is a violation."""
        for name in self.local.instances:
            if self.pid(name):
                continue
            status = self.local.processes.exit_status(name)
            print(f"       {name} ended by itself with {status} and is started again", flush=True)
            # SIGKILL is the suite's own: of a failpoint that only the next process reached.
            if status is None or (status < 0 and status != -signal.SIGKILL):
                self.blame(f"Alive: {name} ended with {status}")
            self.restart(name)

    def start_server(self, name):
        """PostgreSQL or NATS, waiting until it answers."""
        {"nats": self.local.nats, postgres.NAME: self.local.postgres}[name].start()

    # Judgement.

    def history(self, since=0):
        """Lines so far, from the given one on."""
        with open(self.folder / "history.jsonl") as kept:
            return [json.loads(line) for line in itertools.islice(kept, since, None) if line.endswith("\n")]

    def converge(self, what, slow_too=False):
        """Waits until all watchers have seen what is in the tables now; seconds it took."""
        limit_s = _SLOW_CONVERGES_S if slow_too else CONVERGES_S
        truth = wait_for(f"{what}: reading the tables", self._truth_or_none, CONVERGES_S)
        began = time.monotonic()

        def caught_up():
            if not self._is_ending:
                self.supervise()
            with self._lock:
                return not self.checker.behind(truth, slow_too)
        try:
            wait_for(what, caught_up, limit_s)
        except AssertionError:
            with self._lock:
                behind = self.checker.behind(truth, slow_too)
            raise AssertionError(f"Converges: {what}: after {limit_s} s: " + "; ".join(behind[:3])) from None
        return time.monotonic() - began

    def _truth_or_none(self):
        try:
            return self.truth()
        except AssertionError:
            return None

    def blame(self, text):
        """Notes what somebody else has found, its promise's name first."""
        with self._lock:
            self.checker.note(text)

    def violations(self):
        """So far."""
        with self._lock:
            return list(self.checker.violations)

    def count(self, kind):
        """Lines of the history of that kind."""
        with self._lock:
            return self.checker.counts[kind]

    def finish(self):
        """Ends the writing, lets all builds end, and compares the whole history with the tables."""
        self._load.send_signal(signal.SIGUSR1)
        wait_for("the writers end", lambda: self.count("quiet"), 30)
        self._is_ending = True
        # They would begin more, each minute.
        for name in [name for name, service in self.local.instances.items() if service == "autostart-scheduler"]:
            self.kill(name)
        wait_for("every build ends", lambda: self.query(
            "SELECT count(*) FROM workspace_builds b JOIN provisioner_jobs j ON j.id = b.job_id "
            "WHERE j.completed_at IS NULL")[0][0] == "0", 10 * LEASE_S)
        self.converge("after the last write")
        self.converge("after the last write, the slow one too", slow_too=True)
        with self._lock:
            self.checker.finish(self.truth())
        return self.violations()

    def service_logs(self, lines=8):
        """The ends of the services' logs, and of what clients met with."""
        return "\n".join(self._turns) + "\n" + "\n".join(f"--- {name}\n{self.local.processes.log_tail(name, lines)}" for name in self.local.instances)
