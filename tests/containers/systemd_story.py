"""The units of deploy/systemd on a machine with a real systemd, installed as docs/install.md says."""

import os
import shutil
import tempfile
import time

from deploy.docker import servers
from deploy.local import services
from tests.containers import story
from tools.dev import places, say

# What systemd needs of an engine of containers to be a machine's first process.
_MACHINE = ["--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--cap-add=SYS_PTRACE", "--cap-add=DAC_READ_SEARCH",
            "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined", "--tmpfs=/run:exec", "--tmpfs=/run/lock",
            "--tmpfs=/tmp:exec", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"]
_DESCRIPTORS = 65536
_PREPARE = """
set -eu
cd /
export CODER_OWNER_PASSWORD=owner CODER_API_PASSWORD=api CODER_RELAY_PASSWORD=relay
cp /suite/deploy/postgres/coder-suite.conf /etc/postgresql/15/main/conf.d/
systemctl restart postgresql
setpriv --reuid=postgres --regid=postgres --clear-groups psql -X -q -d postgres -f /suite/deploy/postgres/roles.sql
mkdir -p /etc/nats
cp /suite/deploy/nats/nats-server.conf /etc/nats/
printf 'coderd_api_password: "nats-api"\\npubsub_relay_password: "nats-relay"\\n' >/etc/nats/passwords.conf
chown -R nats:nats /etc/nats && chmod 400 /etc/nats/passwords.conf
cp -r /suite/deploy/systemd/nats-server.service.d /etc/systemd/system/
/suite/deploy/systemd/install.sh /suite/programs
cd /etc/coder-suite/secrets
umask 077
echo postgres://coder_owner:owner@localhost/coder >owner-url
echo postgres://coder_api:api@localhost/coder >api-url
echo postgres://coder_relay:relay@localhost/coder >relay-url
echo nats://coderd-api:nats-api@localhost:4222 >nats-api-url
echo nats://pubsub-relay:nats-relay@localhost:4222 >nats-relay-url
sed -i 's/^grpc-listen: .*/grpc-listen: 0.0.0.0:7080/' /etc/coder-suite/coderd-api.yaml
systemctl daemon-reload
systemctl restart nats-server
"""


class SystemdStory:
    """One machine."""

    def __init__(self, docker, context):
        """`context` is the folder the images are built from: programs and providers."""
        self._docker = docker
        self._context = context
        self._name = f"coder-suite-machine-{os.getpid()}"
        self._person = None

    def _on(self, *command, check=True):
        return self._docker.run("exec", self._name, *command, check=check)

    def _says(self, *command):
        return self._on(*command, check=False).stdout.strip()

    def _await(self, is_so, what, timeout_s=90):
        deadline = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > deadline:
                raise say.Problem(f"not within {timeout_s} s: {what}")
            time.sleep(0.5)

    def _boot(self):
        say.step("systemd: a machine with PostgreSQL and NATS")
        self._docker.run("run", "--detach", f"--name={self._name}", *_MACHINE, servers.machine(self._docker))
        self._await(lambda: self._says("systemctl", "is-system-running") == "running", "the machine has booted")
        with tempfile.TemporaryDirectory(prefix="coder-suite-machine-") as folder:
            os.chmod(folder, 0o755)
            shutil.copytree(places.ROOT / "deploy", f"{folder}/deploy", ignore=shutil.ignore_patterns("*.py", "local"))
            shutil.copytree(self._context / "programs", f"{folder}/programs")
            self._docker.run("cp", f"{folder}/.", f"{self._name}:/suite")
        self._on("mkdir", "-p", "/usr/local/share/terraform/plugins")
        self._docker.run("cp", f"{self._context}/providers/.", f"{self._name}:/usr/local/share/terraform/plugins")
        self._on("cp", "/suite/programs/tofu", "/usr/bin/tofu")
        self._lower_limits()

    def _lower_limits(self):
        """Where a container may not have as many descriptors as the units ask for, they ask for what there is."""
        most = int(self._says("sh", "-c", "ulimit -Hn"))
        if most >= _DESCRIPTORS:
            return
        say.note(f"LimitNOFILE is {most} here instead of {_DESCRIPTORS}")
        for name in (*services.NAMES, "nats-server"):
            folder = f"/etc/systemd/system/{name}.service.d"
            self._on("sh", "-c", f"mkdir -p {folder} && printf '[Service]\\nLimitNOFILE={most}\\n' >{folder}/zz-limit.conf")

    def _install(self):
        say.step("systemd: install, and start while PostgreSQL is away")
        self._on("sh", "-c", _PREPARE)
        self._on("systemctl", "stop", "postgresql")
        self._on("systemctl", "enable", "--now", "coderd-api", "pubsub-relay", "autostart-scheduler")
        self._await(lambda: int(self._property("coder-migrate", "NRestarts") or 0) > 0, "the migration was tried in vain")
        self._on("systemctl", "start", "postgresql")
        self._await(lambda: self._ready(7090) and self._ready(7091) and self._ready(7093), "three services are ready")

    def _ready(self, port):
        request = f"exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && head -1 <&3"
        return " 200 " in self._says("bash", "-c", request)

    def _property(self, unit, name):
        return self._says("systemctl", "show", "--value", f"--property={name}", unit)

    def play(self):
        """The whole story."""
        self._boot()
        self._install()
        address = self._docker.output("inspect", "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", self._name)
        self._person = story.Person(f"{address}:7080")
        key = self._person.arrive().strip()
        self._on("sh", "-c", f"umask 077 && echo {key} >/etc/coder-suite/secrets/provisioner-key")
        self._on("systemctl", "enable", "--now", "provisionerd")
        self._await(lambda: self._ready(7092), "provisionerd is ready")
        say.step("systemd: a template, a workspace; coderd-api and the relay are killed in between")
        self._person.begin()
        for verb in ("create", "stop"):
            self._person.build(verb, "day")
        for name in ("coderd-api", "pubsub-relay"):
            self._on("systemctl", "kill", "--signal=KILL", name)
            self._await(lambda unit=name: int(self._property(unit, "NRestarts")) > 0, f"{name} is started again")
        self._await(lambda: self._ready(7090) and self._ready(7091), "both are ready again")
        for verb in ("start", "delete"):
            self._person.build(verb, "day")
        say.note(f"{self._person.check_events('day')} events, none missing, none twice, in order")
        self._person.leave()
        self._check_stops()

    def _check_stops(self):
        for name in reversed(services.NAMES):
            self._on("systemctl", "stop", name)
            result = self._property(name, "Result")
            if result != "success":
                raise AssertionError(f"{name} stopped with {result}")
        failed = self._says("systemctl", "--failed", "--no-legend", "--plain")
        if failed:
            raise AssertionError(f"failed units: {failed}")

    def logs(self):
        """The end of the journal."""
        return self._says("journalctl", "--no-pager", "--lines=80")

    def close(self):
        """Removes the machine."""
        self._docker.run("rm", "--force", self._name, check=False)


def run(docker, context):
    """Plays it."""
    played = SystemdStory(docker, context)
    try:
        played.play()
    except BaseException:
        print(played.logs(), flush=True)
        raise
    finally:
        played.close()
