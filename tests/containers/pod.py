"""One pod as a node runs it: volumes, init containers, the container within its walls, probes, and a patient end."""

import os
import socket
import threading
import time

from deploy.local import processes
from tests.containers import pod_spec
from tools.dev import say

_POLL_S = 0.2


def _http(address, port, path, timeout_s):
    return processes.answers_http(port, path, address, timeout_s)


def _tcp(address, port, timeout_s):
    try:
        with socket.create_connection((address, port), timeout=timeout_s):
            return True
    except OSError:
        return False


class Pod:
    """A pod of a workload.  `cluster` gives Docker, the network, volumes and Secrets."""

    def __init__(self, cluster, name, component, spec):
        pod_spec.check_pod(spec)
        (self._container,) = spec["containers"]
        self._cluster = cluster
        self._spec = spec
        self.name = name
        self.component = component
        self.address = None
        # Whether Services lead to it.
        self.ready = False
        self.memory_peak = 0
        # What a node would have killed it for.
        self.problems = []
        self._ended = threading.Event()
        self._prober = threading.Thread(target=self._probe_for_ever, daemon=True)

    def _mounts(self, container):
        volumes = {volume["name"]: volume for volume in self._spec["volumes"]}
        arguments = []
        for mount in container.get("volumeMounts", []):
            pod_spec.check_known(mount, {"name", "mountPath", "readOnly"}, f"mount of {container['name']}")
            folder = self._cluster.volume(self, volumes[mount["name"]], self._spec["securityContext"]["fsGroup"])
            arguments.append(f"--volume={folder}:{mount['mountPath']}{':ro' if mount.get('readOnly') else ''}")
        return arguments

    def _arguments(self, container, name):
        before, after = pod_spec.command_arguments(container)
        return [f"--name={name}", f"--network={self._cluster.network}", f"--dns={self._cluster.gateway}",
                f"--hostname={self.name}", *pod_spec.security_arguments(self._spec, container),
                *pod_spec.environment_arguments(container, self._cluster.secret), *self._mounts(container), *before,
                self._cluster.image(container["image"]), *after]

    def run_to_end(self, container):
        """Runs a container that ends; returns (exit status, its output)."""
        name = f"{self.name}-{container['name']}"
        done = self._cluster.docker.run("run", "--rm", *self._arguments(container, name), check=False)
        return done.returncode, done.stdout + done.stderr

    def start(self):
        """Runs the init containers, each until it succeeds, and starts the container."""
        for container in self._spec.get("initContainers", []):
            deadline = time.monotonic() + 120
            while True:
                status, output = self.run_to_end(container)
                if status == 0:
                    break
                if time.monotonic() > deadline:
                    raise say.Problem(f"{self.name}: {container['name']} ended with {status}:\n{output[-2000:]}")
                time.sleep(1)
        docker = self._cluster.docker
        docker.run("run", "--detach", *self._arguments(self._container, self.name))
        self.address = docker.output("inspect", "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", self.name)
        self._prober.start()

    def _succeeds(self, probe):
        pod_spec.check_known(probe, {"httpGet", "tcpSocket", "exec", "failureThreshold", "periodSeconds", "timeoutSeconds"},
                             f"probe of {self.name}")
        timeout_s = probe.get("timeoutSeconds", 1)
        if "httpGet" in probe:
            return _http(self.address, pod_spec.port_of(self._container, probe["httpGet"]["port"]), probe["httpGet"]["path"],
                         timeout_s)
        if "tcpSocket" in probe:
            return _tcp(self.address, pod_spec.port_of(self._container, probe["tcpSocket"]["port"]), timeout_s)
        return self._cluster.docker.run("exec", self.name, *probe["exec"]["command"], check=False).returncode == 0

    def _starts_up(self):
        """Asks the startup probe until it succeeds or its attempts are over."""
        probe = self._container["startupProbe"]
        for _ in range(probe["failureThreshold"]):
            if self._succeeds(probe):
                return True
            if self._ended.wait(probe["periodSeconds"]):
                return False
        self.problems.append("did not start up within its startup probe")
        return False

    def _probe_for_ever(self):
        if not self._starts_up():
            return
        failed = {"readinessProbe": 0, "livenessProbe": 0}
        due = dict.fromkeys(failed, 0.0)
        while not self._ended.wait(_POLL_S):
            for kind in failed:
                probe = self._container.get(kind, self._container["startupProbe"])
                if time.monotonic() < due[kind]:
                    continue
                due[kind] = time.monotonic() + probe["periodSeconds"]
                failed[kind] = 0 if self._succeeds(probe) else failed[kind] + 1
                self._judge(kind, failed[kind], probe.get("failureThreshold", 3))

    def _judge(self, kind, failures, threshold):
        if self._ended.is_set():
            return
        if kind == "readinessProbe":
            self.ready = failures == 0 if not self.ready else failures < threshold
        elif failures == threshold:
            self.problems.append("would be killed by its liveness probe")

    def wait_ready(self, timeout_s=120):
        """Waits until Services may lead here."""
        deadline = time.monotonic() + timeout_s
        while not self.ready:
            if self.problems or time.monotonic() > deadline or not self._runs():
                raise say.Problem(f"{self.name} is not ready: {', '.join(self.problems) or 'it ended, or time is up'}\n{self.log(15)}")
            time.sleep(_POLL_S)

    def _inspect(self, field):
        return self._cluster.docker.output("inspect", f"--format={{{{{field}}}}}", self.name)

    def _runs(self):
        return self._inspect(".State.Running") == "true"

    def log(self, lines=200):
        """The end of what the container wrote."""
        done = self._cluster.docker.run("logs", "--tail", lines, self.name, check=False)
        return done.stdout + done.stderr

    def walls(self):
        """What holds for the container's first process, as the kernel tells it."""
        pid = self._inspect(".State.Pid")
        with open(f"/proc/{pid}/status") as stream:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in stream if ":\t" in line)
        with open(f"/proc/{pid}/mounts") as stream:
            root = next(line.split() for line in stream if line.split()[1] == "/")
        return {"user": set(status["Uid"].split()), "group": set(status["Gid"].split()), "groups": set(status["Groups"].split()),
                "capabilities": {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
                "no new privileges": status["NoNewPrivs"], "seccomp": status["Seccomp"],
                "root": "ro" if "ro" in root[3].split(",") else "rw"}

    def wanted_walls(self):
        """What the manifest says of the same."""
        security = self._spec["securityContext"]
        return {"user": {str(security["runAsUser"])}, "group": {str(security["runAsGroup"])},
                "groups": {str(security["fsGroup"])} | {str(security["runAsGroup"])}, "capabilities": {"0" * 16},
                "no new privileges": "1", "seccomp": "2", "root": "ro"}

    def _read_memory(self):
        pid = self._inspect(".State.Pid")
        with open(f"/proc/{pid}/cgroup") as stream:
            lines = [line.rstrip("\n").split(":", 2) for line in stream]
        for _, controllers, path in lines:
            place = f"/sys/fs/cgroup/memory{path}/memory.max_usage_in_bytes" if controllers == "memory" else (
                f"/sys/fs/cgroup{path}/memory.peak" if controllers == "" else "")
            if place and os.path.exists(place):
                with open(place) as stream:
                    return int(stream.read())
        return 0

    def limit(self):
        """Bytes of memory it may take."""
        return pod_spec.quantity(self._container["resources"]["limits"]["memory"])

    def leave(self):
        """As when a pod begins to terminate: Services lead here no more."""
        self._ended.set()
        self.ready = False

    def stop(self):
        """SIGTERM, then the grace of the manifest; returns (seconds it took, exit status)."""
        self.leave()
        self.memory_peak = self._read_memory()
        grace = self._spec.get("terminationGracePeriodSeconds", 30)
        began = time.monotonic()
        self._cluster.docker.run("stop", "--time", grace, self.name)
        took = time.monotonic() - began
        return took, int(self._inspect(".State.ExitCode"))

    def remove(self):
        """Takes the container away, whatever it does."""
        self._ended.set()
        self._cluster.docker.run("rm", "--force", self.name, check=False)
