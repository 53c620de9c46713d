"""The embedded PostgreSQL: one cluster in the data directory, on loopback TCP only."""

import os
import pathlib
import pwd
import signal
import stat
import subprocess

from deploy.local import ports
from tools.dev import places, say

NAME = "postgres"
DATABASE = "coder"
# The migrations' owner, then one login role for each service with a database.
OWNER = "coder_owner"
SERVICE_ROLES = ("coder_api", "coder_relay")
# PostgreSQL ends every session on it, instead of waiting for them.
STOP_SIGNAL = signal.SIGINT
# What makes them; it takes each password from <ROLE>_PASSWORD.
_ROLES = places.ROOT / "deploy/postgres/roles.sql"
_ADMIN = "postgres"
_ACCOUNT = "postgres"


def programs_dir():
    """Where Debian keeps the server's programs; Problem when they are missing."""
    major = places.versions()["POSTGRES_MAJOR"]
    folder = pathlib.Path(f"/usr/lib/postgresql/{major}/bin")
    if not (folder / "postgres").exists():
        raise say.Problem(f"PostgreSQL {major} is not installed; as root run: apt-get install -y postgresql-{major}")
    return folder


def _unreachable_parent(path, account):
    """The first directory above `path` that `account` may not enter, or None."""
    for parent in reversed(path.parents):
        mode = parent.stat()
        mine = mode.st_uid == account.pw_uid and mode.st_mode & stat.S_IXUSR
        group = mode.st_gid == account.pw_gid and mode.st_mode & stat.S_IXGRP
        if not (mine or group or mode.st_mode & stat.S_IXOTH):
            return parent
    return None


class Postgres:
    """Creates, starts and stops the cluster of one data directory."""

    def __init__(self, data, processes, port):
        self._data = data
        self._processes = processes
        self._port = port
        self._cluster = data.path / "postgres"

    def url(self, role, database=DATABASE):
        """How the role connects."""
        return f"postgres://{role}:{self._data.secret(role)}@{ports.HOST}:{self._port}/{database}"

    def as_server(self, command):
        """PostgreSQL refuses root: root hands its programs to Debian's account for it."""
        if os.geteuid() != 0:
            return [str(part) for part in command]
        return ["setpriv", f"--reuid={_ACCOUNT}", f"--regid={_ACCOUNT}", "--init-groups", "--",
                *(str(part) for part in command)]

    def _own(self, path):
        if os.geteuid() == 0:
            account = pwd.getpwnam(_ACCOUNT)
            os.chown(path, account.pw_uid, account.pw_gid)

    def _check_reachable(self):
        if os.geteuid() != 0:
            return
        blocked = _unreachable_parent(self._cluster, pwd.getpwnam(_ACCOUNT))
        if blocked:
            raise say.Problem(
                f"PostgreSQL does not run as root, and the account {_ACCOUNT} may not enter {blocked}; "
                "name a directory it can enter, such as --data-dir=/var/lib/coder-suite")

    def _run(self, command, what, text=None, environment=None):
        done = subprocess.run(self.as_server(command), input=text, text=True, cwd="/", stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=dict(os.environ, LC_ALL="C.UTF-8", **(environment or {})))
        if done.returncode != 0:
            raise say.Problem(f"{what} failed:\n{done.stdout.strip()}")

    def _create(self):
        say.note("creating a database cluster")
        self._cluster.mkdir(mode=0o700, exist_ok=True)
        self._own(self._cluster)
        password = self._data.path / "admin.password"
        self._data.write_private(password, self._data.secret(_ADMIN) + "\n")
        self._own(password)
        try:
            self._run([programs_dir() / "initdb", "-D", self._cluster, "-U", _ADMIN, f"--pwfile={password}",
                       "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"], "creating the database cluster")
        finally:
            password.unlink()

    def _check_version(self):
        found = (self._cluster / "PG_VERSION").read_text().strip()
        wanted = places.versions()["POSTGRES_MAJOR"]
        if found != wanted:
            raise say.Problem(f"{self._cluster} holds data of PostgreSQL {found} and this suite runs {wanted}; "
                              "carry them over with pg_upgrade, or delete them with ./dev reset")

    def _is_ready(self):
        return subprocess.run([programs_dir() / "pg_isready", "-q", "-h", ports.HOST, "-p", str(self._port)],
                              stdin=subprocess.DEVNULL).returncode == 0

    def start(self):
        """Creates the cluster if there is none, starts it and sees to the roles and the database."""
        self._check_reachable()
        if not (self._cluster / "PG_VERSION").exists():
            self._create()
        self._check_version()
        command = [programs_dir() / "postgres", "-D", self._cluster, "-p", str(self._port),
                   "-c", f"listen_addresses={ports.HOST}", "-c", "unix_socket_directories=",
                   "-c", "logging_collector=off", "-c", "max_connections=200", "-c", "shared_buffers=128MB",
                   # As in deploy/postgres: disks without a seek.
                   "-c", "random_page_cost=1.1"]
        self._processes.start(NAME, self.as_server(command))
        self._processes.wait_ready(NAME, self._is_ready)
        self._provide_roles()

    def _provide_roles(self):
        passwords = {f"{role.upper()}_PASSWORD": self._data.secret(role) for role in (OWNER, *SERVICE_ROLES)}
        self._run([programs_dir() / "psql", "-X", "-q", "-h", ports.HOST, "-p", str(self._port), "-U", _ADMIN, "-d",
                   "postgres", "-f", "-"], "preparing the database", _ROLES.read_text(),
                  {"PGPASSWORD": self._data.secret(_ADMIN), **passwords})
