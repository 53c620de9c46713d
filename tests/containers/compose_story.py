"""deploy/compose brought up for real: set up, started, used, restarted, taken down."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.request

from deploy.docker import servers
from deploy.local import ports, services
from tests.containers import story
from tools.dev import places, say

_FOLDER = places.ROOT / "deploy/compose"
_PROJECT = "coder-suite-test"


def command(docker):
    """Docker's compose, whichever of its two forms is here."""
    if docker.run("compose", "version", check=False).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose") is None:
        subprocess.run([str(places.ROOT / "dev"), "packages", "compose"], check=True)
    return ["docker-compose"]


class ComposeStory:
    """One deployment."""

    def __init__(self, docker):
        self._command = command(docker)
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="coder-suite-compose-"))
        self._ports = ports.assign(["api", "prometheus"], self._folder / "ports.json")
        images = {servers.VARIABLES[name]: image for image, name in self._chosen(docker).items()}
        self._secrets = self._folder / "secrets"
        self._environment = dict(docker.environment, COMPOSE_PROJECT_NAME=_PROJECT, SECRETS=str(self._secrets),
                                 API_PORT=str(self._ports["api"]), PROMETHEUS_PORT=str(self._ports["prometheus"]), **images)
        self._person = None

    @staticmethod
    def _chosen(docker):
        """Image to run -> the name of its server."""
        usual = servers.usual()
        return {image: usual[name] for name, image in servers.ensure(docker).items()}

    def _run(self, *arguments):
        done = subprocess.run([*self._command, "--file", _FOLDER / "compose.yaml", *arguments], env=self._environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise say.Problem(f"{' '.join(self._command)} {' '.join(arguments)} failed:\n{done.stdout[-4000:]}")
        return done.stdout

    def play(self):
        """The whole story."""
        say.step("compose: secrets, servers, services")
        subprocess.run([_FOLDER / "setup.sh", self._secrets], env=self._environment, check=True, stdout=subprocess.DEVNULL)
        self._run("up", "--detach")
        self._await(lambda: self._up() == {"coderd-api", "pubsub-relay", "autostart-scheduler"}, "Prometheus scrapes three services")
        self._person = story.Person(f"127.0.0.1:{self._ports['api']}")
        (self._secrets / "provisioner-key").write_text(self._person.arrive())
        self._run("--profile", "provisioner", "up", "--detach")
        self._await(lambda: self._up() == set(services.NAMES), "Prometheus scrapes all four")
        say.step("compose: a template, a workspace: create, stop, start, delete")
        self._person.begin()
        for verb in ("create", "stop"):
            self._person.build(verb, "day")
        self._run("restart", "nats", "pubsub-relay", "coderd-api")
        self._await(self._answers, "coderd-api answers again")
        for verb in ("start", "delete"):
            self._person.build(verb, "day")
        say.note(f"{self._person.check_events('day')} events over a restart of NATS, relay and API; none missing, none twice, in order")
        if not self._asked("/api/v1/rules")["groups"]:
            raise AssertionError("Prometheus has no rules")

    def _answers(self):
        try:
            self._person.coderctl("whoami")
            return True
        except say.Problem:
            return False

    def _asked(self, path):
        url = f"http://127.0.0.1:{self._ports['prometheus']}{path}"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as response:
            return json.load(response)["data"]

    def _up(self):
        """The services that Prometheus scrapes with success."""
        try:
            found = self._asked("/api/v1/query?query=up==1")["result"]
        except OSError:
            return set()
        return {series["metric"]["component"] for series in found}

    @staticmethod
    def _await(is_so, what, timeout_s=120):
        deadline = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > deadline:
                raise say.Problem(f"not within {timeout_s} s: {what}")
            time.sleep(0.5)

    def logs(self):
        """The end of what every service wrote."""
        return self._run("--profile", "provisioner", "logs", "--no-color", "--tail=25")

    def close(self):
        """Takes everything down, volumes too."""
        if self._person:
            self._person.leave()
        self._run("--profile", "provisioner", "down", "--volumes", "--timeout", "30")
        shutil.rmtree(self._folder, ignore_errors=True)


def run(docker):
    """Plays it."""
    os.environ.pop("COMPOSE_FILE", None)
    played = ComposeStory(docker)
    try:
        played.play()
    except BaseException:
        print(played.logs(), flush=True)
        raise
    finally:
        played.close()
