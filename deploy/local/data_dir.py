"""The launcher's directory: everything the local suite keeps between runs.

    suite.json      what made the directory (layout, PostgreSQL's major version)
    ports.json      remembered ports
    secrets.json    generated passwords, readable by the owner only
    keyring         what coderd-api seals engine states with
    service.token   what autostart-scheduler presents to coderd-api
    provisioner.key what provisionerd presents
    api.token       the token of the box
    coderctl/       the launcher's own log-in
    postgres/ nats/ the servers' data
    run/            one <process>.json for each process that was started
    logs/           one <process>.log each
"""

import contextlib
import fcntl
import json
import os
import pathlib
import secrets
import shutil

from tools.dev import places, say

_LAYOUT = 1
_FOLDERS = ("run", "logs")


def default_path():
    """XDG's data directory; for root a system one, because PostgreSQL runs as another user there."""
    if os.environ.get("XDG_DATA_HOME"):
        return pathlib.Path(os.environ["XDG_DATA_HOME"]) / "coder-suite"
    if os.geteuid() == 0:
        return pathlib.Path("/var/lib/coder-suite")
    return pathlib.Path(os.path.expanduser("~/.local/share/coder-suite"))


class DataDir:
    """Paths and small files under one data directory."""

    def __init__(self, path):
        self.path = pathlib.Path(path).absolute()
        self.ports = self.path / "ports.json"
        self.run = self.path / "run"
        self.logs = self.path / "logs"
        self.keyring = self.path / "keyring"
        self.service_token = self.path / "service.token"
        self.provisioner_key = self.path / "provisioner.key"
        self.api_token = self.path / "api.token"
        self.coderctl = self.path / "coderctl"
        self._marker = self.path / "suite.json"
        self._secrets = self.path / "secrets.json"

    def exists(self):
        return self._marker.exists()

    def prepare(self):
        """Creates the directory or checks that this launcher may use it; Problem says why not."""
        major = places.versions()["POSTGRES_MAJOR"]
        wanted = {"layout": _LAYOUT, "postgres_major": major}
        if self.exists():
            self._check(json.loads(self._marker.read_text()), wanted)
        elif self.path.exists() and any(name.name != "lock" for name in self.path.iterdir()):
            raise say.Problem(f"{self.path} is not empty and was not made by ./dev up; name another with --data-dir")
        for folder in _FOLDERS:
            (self.path / folder).mkdir(parents=True, exist_ok=True)
        self._marker.write_text(json.dumps(wanted) + "\n")

    def _check(self, found, wanted):
        if found["layout"] != wanted["layout"]:
            raise say.Problem(f"{self.path} was made by another version of the launcher (layout {found['layout']}, this "
                              f"one uses {wanted['layout']}); ./dev reset deletes it, --data-dir names another")
        if found["postgres_major"] != wanted["postgres_major"]:
            raise say.Problem(
                f"{self.path} holds data of PostgreSQL {found['postgres_major']} and this suite runs "
                f"{wanted['postgres_major']}; carry them over with pg_upgrade, or delete them with ./dev reset")

    def secret(self, name):
        """A generated secret, the same at every call."""
        known = json.loads(self._secrets.read_text()) if self._secrets.exists() else {}
        if name not in known:
            known[name] = secrets.token_urlsafe(24)
            self.write_private(self._secrets, json.dumps(known, indent=1) + "\n")
        return known[name]

    def write_private(self, path, text):
        """Writes a file that only the owner can read, in one step."""
        fresh = path.with_name(path.name + ".new")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(text)
        os.replace(fresh, path)

    @contextlib.contextmanager
    def locked(self):
        """Holds the directory against a second launcher command; Problem when one is at work."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / "lock", "a")
        except OSError as error:
            raise say.Problem(f"cannot use {self.path}: {error.strerror.lower()}; name another with --data-dir") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise say.Problem(f"another ./dev command is at work in {self.path}; wait for it, or stop it") from error
            yield

    def delete(self):
        """Removes everything; only of a directory the launcher made."""
        if not self.exists():
            raise say.Problem(f"{self.path} was not made by ./dev up, so it is not deleted")
        shutil.rmtree(self.path)
