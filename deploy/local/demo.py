"""./dev demo: one workspace's life on real parts, from the first user to the deleted workspace."""

import datetime
import pathlib
import subprocess
import tempfile
import time

from deploy.local import data_dir, engine_sighting, event_log, services, suite
from tools.dev import bazel, places, say

_TEMPLATE = "hello"
_WORKSPACE = "demo"
_STATES = ["pending", "running", "succeeded"]
# Every build of the story and who asked for it.
_BUILDS = [("start", "initiator"), ("stop", "cli"), ("start", "autostart"), ("delete", "cli")]


class Steps:
    """Runs the story step by step and remembers how long each took."""

    def __init__(self):
        self.taken = []

    def run(self, title, action):
        print(f"\n[{len(self.taken) + 1}] {title}", flush=True)
        started = time.monotonic()
        result = action()
        self.taken.append((title, time.monotonic() - started))
        return result


def next_minute(now):
    """The first minute that is far enough away to be set before it comes."""
    return now.replace(second=0, microsecond=0) + datetime.timedelta(minutes=1 if now.second < 50 else 2)


class Demo:
    """The story over one running suite."""

    def __init__(self, local):
        self._local = local
        self._steps = Steps()
        self._account = None
        self._events = None
        self._engine = None

    def _coderctl(self, *arguments):
        done = subprocess.run(self._account.command(*arguments), stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise say.Problem(f"coderctl {' '.join(arguments)} ended with {done.returncode}; its message is above")

    def _start_servers(self):
        self._local.data.prepare()
        self._local.connect()
        self._local.start_servers()

    def _start_api(self):
        wiring = self._local.prepare_services()
        self._engine = wiring.engine
        self._local.start_service("coderd-api", wiring)
        self._account = self._local.account()
        return wiring

    def _first_user(self):
        self._account.log_in()
        self._coderctl("whoami")

    def _start_rest(self, wiring):
        self._account.ensure_provisioner_key()
        self._account.ensure_token()
        for name in services.NAMES:
            self._local.start_service(name, wiring)
        self._events = event_log.EventLog(self._account.command("watch", "-o", "json"))

    def _create(self):
        daemon = self._local.processes.find("provisionerd").pid
        with engine_sighting.EngineSighting(self._engine, daemon) as sighting:
            self._coderctl("create", _WORKSPACE, "--template", _TEMPLATE, "--parameter", "greeting=Good morning",
                           "--parameter", "size=large")
        if "apply" not in sighting.commands:
            raise say.Problem(f"no apply of {self._engine} was seen below provisionerd, only {sorted(sighting.commands)}")
        say.note(f"seen below provisionerd: {self._engine.name} {', '.join(sorted(sighting.commands))}")

    def _set_autostart(self):
        due = next_minute(datetime.datetime.now(datetime.timezone.utc))
        self._coderctl("schedule", "start", _WORKSPACE, f"CRON_TZ=UTC {due.minute} {due.hour} * * *")
        return due

    def _await_autostart(self, due):
        self._events.wait_for(
            lambda event: event["workspace_name"] == _WORKSPACE and event_log.story([event]) == [("start", "autostart", "succeeded")],
            180, lambda left: say.note(f"due at {due:%H:%M} UTC, now {datetime.datetime.now(datetime.timezone.utc):%H:%M:%S}"))

    def _await_last_event(self):
        self._events.wait_for(
            lambda event: event["workspace_name"] == _WORKSPACE and event_log.story([event]) == [("delete", "cli", "succeeded")],
            30, lambda left: None)

    def play(self):
        """The whole story; a Problem says what failed."""
        run = self._steps.run
        run("build the services", lambda: bazel.build(services.build_targets()))
        run("start PostgreSQL and NATS", self._start_servers)
        wiring = run("migrate the database and start coderd-api", self._start_api)
        run("create the first user and log in", self._first_user)
        run("start the other services and watch every build event", lambda: self._start_rest(wiring))
        template = places.ROOT / "examples/templates" / _TEMPLATE
        run("push a Terraform template and import it", lambda: self._coderctl("templates", "push", str(template)))
        run("create a workspace", self._create)
        run("stop it", lambda: self._coderctl("stop", _WORKSPACE))
        due = run("set autostart to the next minute", self._set_autostart)
        run("see it start by itself", lambda: self._await_autostart(due))
        run("explain its schedule", lambda: self._coderctl("schedule", "explain", _WORKSPACE))
        run("delete it", lambda: self._coderctl("delete", _WORKSPACE))
        run("see the last event", self._await_last_event)

    def stop(self):
        """Stops everything in reverse order."""
        if self._events:
            self._events.close()
        self._local.down()

    def summary(self):
        """Prints steps and events; a Problem when an event is missing, doubled or out of order."""
        events = self._events.of(_WORKSPACE)
        expected = [(transition, reason, status) for transition, reason in _BUILDS for status in _STATES]
        wrong = event_log.faults(events, expected)
        print("\nWhat happened")
        for number, (title, seconds) in enumerate(self._steps.taken, 1):
            print(f"  {number:2}  {seconds:6.1f} s  {title}")
        print(f"\n  {len(events)} of {len(expected)} build events seen through watch-all, "
              f"{'none missing, none twice, in order' if not wrong else '; '.join(wrong)}")
        if wrong:
            raise say.Problem("watch-all broke its promise; the events are above")


def demo(arguments):
    """Plays the story in a data directory of its own."""
    # PostgreSQL may run as another user, who must reach its folder.
    path = pathlib.Path(tempfile.mkdtemp(prefix="coder-demo-", dir="/tmp"))
    path.chmod(0o755)
    data = data_dir.DataDir(path)
    with data.locked():
        show = Demo(suite.Suite(data, provisioners=("terraform",)))
        try:
            show.play()
        except BaseException:
            show.stop()
            say.note(f"logs and data are kept in {path}")
            raise
        show.stop()
        left = suite.Suite(data).running()
    show.summary()
    if left:
        raise say.Problem(f"still running after the stop: {', '.join(left)}")
    if arguments.keep:
        say.note(f"logs and data are kept in {path}")
    else:
        suite.Suite(data).delete()
    print("\nEverything is stopped. Next: ./dev up starts a suite that stays.")
    return 0

