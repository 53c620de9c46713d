"""The container engine: Docker as it runs on the machine, else a daemon of our own for as long as a verb takes."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

from tools.dev import places, say

_DAEMONS = ("/usr/sbin/dockerd", "/usr/bin/dockerd")


class Docker:
    """Runs docker's command line."""

    def __init__(self, host=None):
        """`host` is where the daemon listens; None: as docker is configured."""
        self.environment = dict(os.environ, DOCKER_HOST=host) if host else dict(os.environ)

    def run(self, *arguments, check=True, show=False, text=None):
        """Runs one command; returns its CompletedProcess.

        With `show` its output goes to the terminal. Raises Problem when it fails and `check` is set.
        """
        streams = {} if show else {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        given = {"input": text} if text is not None else {"stdin": subprocess.DEVNULL}
        done = subprocess.run(["docker", *map(str, arguments)], text=True, env=self.environment, **given, **streams)
        if check and done.returncode != 0:
            raise say.Problem(f"docker {arguments[0]} failed: " + ((done.stderr or "").strip() or "its message is above"))
        return done

    def output(self, *arguments):
        """What one command prints, stripped."""
        return self.run(*arguments).stdout.strip()

    def answers(self):
        """Whether a daemon can be reached."""
        return self.run("version", "--format={{.Server.Version}}", check=False).returncode == 0

    def has_image(self, name):
        """Whether the image is here."""
        return self.run("image", "inspect", name, check=False).returncode == 0


def _program():
    found = next((path for path in _DAEMONS if os.path.exists(path)), None)
    if found is None:
        subprocess.run([str(places.ROOT / "dev"), "packages", "dockerd"], check=True)
        found = next((path for path in _DAEMONS if os.path.exists(path)), None)
    if found is None:
        raise say.Problem("no Docker daemon is installed; as root run: apt-get install -y docker.io")
    return found


def _wait_for(docker, process, log):
    deadline = time.monotonic() + 60
    while not docker.answers():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
            raise say.Problem(f"dockerd did not come up; the end of {log}:\n{tail}")
        time.sleep(0.2)


@contextlib.contextmanager
def _own_daemon():
    """A daemon with images of its own under the cache, stopped at the end."""
    home = places.cache_dir() / "docker"
    run = pathlib.Path("/run/coder-suite-docker")
    for folder in (home, run):
        folder.mkdir(parents=True, exist_ok=True)
    host = f"unix://{run}/docker.sock"
    docker = Docker(host)
    if docker.answers():
        yield docker
        return
    log = home / "dockerd.log"
    say.note(f"no Docker daemon runs; one of our own is started (images in {home})")
    with open(log, "wb") as output:
        process = subprocess.Popen([_program(), f"--data-root={home}/data", f"--exec-root={run}/exec", f"--host={host}",
                                    f"--pidfile={run}/pid"], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   start_new_session=True)
    try:
        _wait_for(docker, process, log)
        yield docker
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@contextlib.contextmanager
def running():
    """A Docker that works, for the time of the `with`; Problem when there is none to be had."""
    if shutil.which("docker") is None:
        raise say.Problem("docker is not installed; as root run: apt-get install -y docker.io")
    docker = Docker()
    if docker.answers():
        yield docker
        return
    if os.geteuid() != 0:
        raise say.Problem("no Docker daemon answers; start it (systemctl start docker) and see that you may use it (group docker)")
    with _own_daemon() as own:
        yield own
