"""One suite of real processes for the tests of a file, and the ways to drive it."""

import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from deploy.local import account, data_dir, event_log, services, suite

_CODES = ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
          "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
          "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"]
STEP_S = 0.1  # Between two looks at something that tells nobody when it changes.


def wait_until(what, probe, timeout_s=30):
    """Calls `probe` until it returns something true, and returns that.

    For what tells nobody when it changes: the process table, an answer of another process.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s} s")
        time.sleep(STEP_S)


def _environment(name):
    if not os.environ.get(name):
        raise AssertionError(f"{name} is not set; run the tests with ./dev test, which sets it")
    return os.environ[name]


def command_of(pid):
    """The command line, empty when the process is gone or a zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _folder_of(pid):
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


def _pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


class Client:
    """coderctl against one instance of the API, as the suite's first user or with another account's settings."""

    def __init__(self, command):
        self._command = command

    def run(self, *arguments, text=None, environment=None):
        """How the command ended."""
        return subprocess.run(self._command(*arguments), env=dict(os.environ, **(environment or {})), input=text,
                              stdin=None if text is not None else subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120)

    def do(self, *arguments, **options):
        """What a command that succeeds printed."""
        done = self.run(*arguments, **options)
        if done.returncode != 0:
            raise AssertionError(f"coderctl {' '.join(arguments)} ended with {done.returncode}:\n"
                                 f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def read(self, *arguments):
        """The response a command got, with the proto's field names."""
        return json.loads(self.do(*arguments, "-o", "json"))

    def command(self, *arguments):
        """The words that run coderctl with the arguments."""
        return self._command(*arguments)

    def watch(self, *arguments):
        """A watch of all builds in JSON, collected as it comes."""
        return event_log.EventLog(self._command("watch", "-o", "json", *arguments))


class Answer:
    """What a call got: the messages of the answer, or a status's code, reason, violated fields and message."""

    def __init__(self, done):
        self.messages = _messages(done.stdout)
        self.code, self.reason, self.text, self.fields = "OK", "", "", []
        if done.returncode == 0:
            return
        try:
            error = json.loads(done.stderr)
        except ValueError:
            raise AssertionError(f"grpcurl ended with {done.returncode}: {done.stderr}") from None
        self.code, self.text = _CODES[error["code"]], error.get("message", "")
        for detail in error.get("details", []):
            self.reason = detail.get("reason", self.reason)
            self.fields += [violation["field"] for violation in detail.get("fieldViolations", [])]

    def __str__(self):
        return f"{self.code} {self.reason} {self.fields}: {self.text}"


def _messages(text):
    """JSON messages one after the other."""
    found, decoder, text = [], json.JSONDecoder(), text.strip()
    while text:
        message, end = decoder.raw_decode(text)
        found.append(message)
        text = text[end:].lstrip()
    return found


class Grpcurl:
    """A gRPC client that is not ours: it knows the services from reflection alone."""

    def __init__(self, address, token=None):
        self._address = address
        self._token = token
        self._program = _environment("CODER_TEST_GRPCURL")

    def _run(self, *arguments, text=""):
        header = ["-H", f"authorization: Bearer {self._token}"] if self._token else []
        return subprocess.run([self._program, "-plaintext", "-max-time", "30", *header, *arguments], input=text,
                              capture_output=True, text=True, timeout=60)

    def list(self):
        """The services reflection tells of."""
        done = self._run(self._address, "list")
        if done.returncode != 0:
            raise AssertionError(f"grpcurl list: {done.stderr}")
        return done.stdout.split()

    def call(self, method, *messages):
        """Calls "package.Service/Method" with the messages."""
        text = "".join(json.dumps(message) for message in messages)
        return Answer(self._run("-format-error", "-d", "@", self._address, method, text=text))


class SuiteTest(unittest.TestCase):
    """A test whose class has one running suite in a folder of its own, and a watch from the deployment's first event."""

    # Options of single instances on top of the usual ones, and further instances: see deploy.local.suite.Suite.
    flags = {}
    replicas = {}

    @classmethod
    def setUpClass(cls):
        # Under /tmp, where PostgreSQL's account can follow when the test runs as root.
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="coder-e2e-", dir="/tmp"))
        cls.folder.chmod(0o755)
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        data = data_dir.DataDir(cls.folder / "data")
        data.prepare()
        cls.engine = pathlib.Path(_environment("CODER_TEST_ENGINE"))
        engine_files = (cls.engine, pathlib.Path(_environment("CODER_TEST_ENGINE_CONFIG")))
        cls.local = suite.Suite(data, engine_files=engine_files, flags=cls.flags, replicas=cls.replicas)
        cls.local.connect()
        cls.addClassCleanup(cls._stop)
        cls.local.start_servers()
        cls._began = datetime.datetime.now(datetime.timezone.utc)
        cls.wiring = cls.local.start_services()
        cls.coderctl = cls.client("coderd-api")
        cls.events = cls.watch_all()
        cls.addClassCleanup(lambda: cls.events.close())

    @classmethod
    def client(cls, instance):
        """coderctl as the first user against the named instance of the API."""
        command = account.Account(cls.local.data, cls.local.api_address(instance)).command
        if instance == "coderd-api":
            return Client(command)
        # The saved log-in is only for the address it was made at.
        token = cls.local.data.api_token.read_text().strip()
        return Client(lambda *arguments: [*command(*arguments), f"--token={token}"])

    @classmethod
    def person(cls, name, url=None):
        """coderctl of somebody with a configuration folder of their own, not logged in yet."""
        settings = [f"--config-dir={cls.folder / name}", f"--url={url or 'http://' + cls.local.api_address()}"]
        return Client(lambda *arguments: [str(services.coderctl()), *settings, *arguments])

    @classmethod
    def grpcurl(cls, token=None):
        """A foreign client of the API, as the first user unless another token is given."""
        return Grpcurl(cls.local.api_address(), token or cls.local.data.api_token.read_text().strip())

    @classmethod
    def watch_all(cls, instance="coderd-api"):
        """A watch of everything since the deployment began."""
        return cls.client(instance).watch("--from", f"{cls._began:%Y-%m-%dT%H:%M:%SZ}")

    @classmethod
    def _our_processes(cls):
        """pid -> command line of every process that works in one of the suite's folders."""
        folders = [str(cls.folder), *(str(services.work_dir(cls.local.data, name)) for name in cls.local.instances)]
        return {pid: command_of(pid) for pid in _pids()
                if pid != os.getpid() and _folder_of(pid).startswith(tuple(folders)) and command_of(pid)}

    @classmethod
    def _stop(cls):
        cls.local.down()
        left = cls._our_processes()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        for name in cls.local.instances:
            shutil.rmtree(services.work_dir(cls.local.data, name), ignore_errors=True)
        if left:
            raise AssertionError(f"still running after the stop: {left}")

    def run(self, result=None):
        """Shows the ends of the services' logs with every failure: the folder is gone afterwards."""
        result = result if result is not None else self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            for name in self.local.instances:
                print(f"--- the end of {name}'s log\n{self.local.processes.log_tail(name, 25)}", flush=True)
        return result

    # Processes.

    def pid(self, instance):
        """Of a running instance."""
        return self.local.processes.find(instance).pid

    def below(self, pid, words):
        """Process ids under `pid` whose command line holds the words."""
        parents = {}
        for child in _pids():
            try:
                text = pathlib.Path(f"/proc/{child}/stat").read_text()
            except OSError:
                continue
            parents[child] = int(text[text.rindex(")") + 2:].split()[1])

        def is_below(child):
            while child in parents and child != pid:
                child = parents[child]
            return child == pid
        return [child for child in parents if child != pid and is_below(child) and words in command_of(child)]

    def end(self, instance, stop_signal=signal.SIGKILL):
        """Ends an instance with the signal and waits for its end."""
        self.assertTrue(self.local.processes.stop(instance, stop_signal), f"{instance} was not running")

    def start(self, instance):
        """Starts an instance again and waits until it is ready."""
        self.local.start_service(instance, self.wiring)

    # Templates and workspaces.

    @classmethod
    def push_echo(cls, name, **answers):
        """Makes a template of canned answers; see services/provisionerd/echo_engine.h."""
        cls._push(name, "echo.json", json.dumps(answers), "--provisioner", "echo")

    @classmethod
    def push_terraform(cls, name, text):
        """Makes a template of one Terraform file."""
        cls._push(name, "main.tf", text)

    @classmethod
    def _push(cls, name, file_name, text, *arguments):
        folder = cls.folder / "templates" / name
        folder.mkdir(parents=True)
        (folder / file_name).write_text(text)
        cls.coderctl.do("templates", "push", str(folder), *arguments)

    def show(self, workspace):
        """The workspace as the API tells it."""
        return self.coderctl.read("show", workspace)

    def wait_for(self, workspace, *story, timeout_s=60):
        """Waits for the workspace's event of that (transition, reason, status), the last words may be left out."""
        def matches(event):
            return event["workspace_name"] == workspace and event_log.story([event])[0][-len(story):] == story
        return self.events.wait_for(matches, timeout_s, lambda left: None)

    def assert_dense(self, events):
        """Positions rise one by one from the first event's, and so do the versions of each workspace from 1."""
        positions = [event["position"] for event in events]
        self.assertEqual(positions, list(range(positions[0], positions[0] + len(positions))))
        versions = {}
        for event in events:
            versions.setdefault(event["workspace_id"], []).append(int(event["workspace_version"]))
        for workspace, seen in versions.items():
            self.assertEqual(seen, list(range(1, len(seen) + 1)), workspace)
