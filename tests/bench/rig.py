"""One place that starts a suite for benchmarks, and the programs that drive and measure it."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.request

from deploy.local import data_dir, ports, postgres, services, suite
from tools.dev import bazel, places, say

PROGRAMS = ["write_events", "raw_stream", "raw_watch_server", "watch_client", "raw_chain", "write_builds", "cron_rate",
            "workspace_herd", "api_calls", "take_jobs"]
_SERVICES = [*(services.target(name) for name in ("coderd-api", "pubsub-relay", "autostart-scheduler")),
             "//cli/coderctl:coderctl"]
_TICKS = os.sysconf("SC_CLK_TCK")
# So that all watches can be one caller's.
_API_FLAGS = ("--max-watches=20000", "--max-watches-per-caller=20000")


def build():
    """Builds everything a benchmark runs, optimised."""
    bazel.build(["--config=opt", *_SERVICES, *(f"//tests/bench:{name}" for name in PROGRAMS)])


def program(name):
    """A built program of this folder."""
    return places.built() / "tests/bench" / name


def cpu_seconds(pid):
    """What the process has used of the processors, user and system."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    fields = text[text.rindex(")") + 2:].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes(pid):
    """The process's memory that is in RAM."""
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Program:
    """A program of this folder that runs beside the benchmark; its results are lines of JSON."""

    def __init__(self, name, *arguments, environment=None):
        self._name = name
        self.process = subprocess.Popen([str(program(name)), *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, env=dict(os.environ, **(environment or {})), text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def result(self):
        """Its next line; Problem when it ended instead, as it does when an event was lost, doubled or foreign."""
        line = self.process.stdout.readline()
        if not line:
            raise say.Problem(f"{self._name} ended with {self.process.wait()}; its message is above")
        return json.loads(line)

    def close_input(self):
        """Tells it to come to its end."""
        self.process.stdin.close()


def run(name, *arguments, environment=None):
    """Runs a program of this folder to its end and returns its result."""
    with Program(name, *arguments, environment=environment) as running:
        return running.result()


class Rig:
    """PostgreSQL, NATS, coderd-api and pubsub-relay as processes of their own, in a folder that goes away."""

    def __init__(self, api_flags=(), relay_flags=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coder-bench-", dir="/tmp"))
        self.folder.chmod(0o755)
        data = data_dir.DataDir(self.folder / "data")
        data.prepare()
        flags = {"coderd-api": (*_API_FLAGS, *api_flags), "pubsub-relay": relay_flags}
        self.suite = suite.Suite(data, engine_files=("/bin/false", "/dev/null"), flags=flags)
        self._flags = flags
        self.written = 0

    def __enter__(self):
        try:
            self.suite.connect()
            self.suite.start_servers()
            self.wiring = self.suite.prepare_services()
            self.start("coderd-api")
            account = self.suite.account()
            account.log_in()
            account.ensure_token()
            self.start("pubsub-relay")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.suite.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, flags=None):
        """Starts one service, with other options than the rig's when given, and waits until it is ready."""
        if flags is not None:
            self._flags[name] = (*(_API_FLAGS if name == "coderd-api" else ()), *flags)
        self.suite.start_service(name, self.wiring)

    def stop(self, name):
        """Stops one service."""
        self.suite.processes.stop(name)

    def pid(self, name):
        """Of a running process."""
        return self.suite.processes.find(name).pid

    def environment(self, postgres_role=None, nats_user=None, token=False):
        """How a program of this folder reaches the servers."""
        found = {}
        if postgres_role:
            found["CODER_POSTGRES_URL"] = self.suite.postgres.url(postgres_role)
        if nats_user:
            found["CODER_NATS_URL"] = self.suite.nats.url(nats_user)
        if token:
            found["CODER_TOKEN"] = self.suite.data.api_token.read_text().strip()
        return found

    def sql(self, script):
        """Runs SQL as the schema's owner, every statement by itself; rows as text, columns separated by |."""
        done = subprocess.run([postgres.programs_dir() / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                               self.suite.postgres.url(postgres.OWNER)], input=script, capture_output=True, text=True)
        if done.returncode != 0:
            raise say.Problem(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def metric(self, service, name):
        """The sum of a metric over its labels."""
        url = f"http://{ports.HOST}:{self.suite.ports[service + ' admin']}/metrics"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=10) as response:
            lines = response.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def await_metric(self, service, name, value, limit_s=120):
        """Waits until the metric reaches the value."""
        deadline = time.monotonic() + limit_s
        while self.metric(service, name) < value:
            if time.monotonic() > deadline:
                raise say.Problem(f"{name} of {service} did not reach {value} within {limit_s} s")
            time.sleep(0.02)

    def clear_log(self):
        """Begins the log anew, at position 1 with an empty stream. The services must be stopped."""
        self.sql("TRUNCATE outbox, build_event_packs; ALTER SEQUENCE outbox_id_seq RESTART; "
                 "UPDATE relay_cursor SET head = 0, last_event_id = 0, outbox_floor = 0, confirmed_position = 0, "
                 "log_floor = 1")
        run("raw_stream", "--mode=purge", environment=self.environment(nats_user="pubsub-relay"))
        self.written = 0

    def write(self, events):
        """Commits further events into the outbox."""
        run("write_events", "--mode=bulk", f"--first={self.written}", f"--events={events}",
            environment=self.environment(postgres_role="coder_api"))
        self.written += events

    def fill(self, events):
        """Commits further events and waits until coderd-api has them."""
        self.write(events)
        self.await_metric("coderd-api", "coderd_watch_ring_head_position", self.written)

    def address(self):
        """Of the API."""
        return self.suite.api_address()
