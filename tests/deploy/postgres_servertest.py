"""The files of deploy/postgres on a real PostgreSQL: who may log in, who may read what, and the way back from a backup."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from deploy.local import data_dir, ports, postgres, processes, services
from tools.dev import places

_FILES = places.ROOT / "deploy/postgres"
_ROLES = (postgres.OWNER, *postgres.SERVICE_ROLES)
_EPOCH = "SELECT epoch FROM relay_cursor"

# (role, statement) that must be refused. A statement that reaches a row would be refused by constraints, too: none does.
_REFUSED = [
    ("coder_api", "CREATE TABLE mine (x int)"),
    ("coder_api", "DELETE FROM users WHERE false"),
    ("coder_api", "DELETE FROM outbox WHERE false"),
    ("coder_api", "UPDATE relay_cursor SET epoch = 1 WHERE false"),
    ("coder_api", "INSERT INTO build_event_packs SELECT * FROM build_event_packs WHERE false"),
    ("coder_api", "TRUNCATE workspaces"),
    ("coder_api", "SELECT drop_event_log_partitions(1)"),
    ("coder_relay", "SELECT FROM users"),
    ("coder_relay", "SELECT FROM workspace_builds"),
    ("coder_relay", "INSERT INTO outbox (payload) SELECT payload FROM outbox WHERE false"),
    ("coder_relay", "UPDATE build_event_packs SET epoch = 1 WHERE false"),
    ("coder_relay", "DELETE FROM build_event_packs WHERE false"),
    ("coder_relay", "CREATE TABLE mine (x int)"),
    ("coder_owner", "CREATE ROLE another"),
    ("coder_owner", "CREATE DATABASE another"),
]
_ALLOWED = [
    ("coder_api", "SELECT FROM users; SELECT FROM build_event_packs; SELECT FROM relay_cursor"),
    ("coder_api", "INSERT INTO outbox (payload) SELECT payload FROM outbox WHERE false"),
    ("coder_api", "UPDATE workspaces SET updated_at = updated_at WHERE false"),
    ("coder_relay", "DELETE FROM outbox WHERE false; UPDATE relay_cursor SET epoch = 1 WHERE false"),
    ("coder_relay", "SELECT ensure_event_log_partitions(2)"),
    ("coder_owner", "CREATE TABLE mine (x int); DROP TABLE mine"),
]


class _Server(unittest.TestCase):
    """One server; its roles are made by roles.sql, through the launcher that runs it."""

    @classmethod
    def setUpClass(cls):
        # Under /tmp, where PostgreSQL's account can follow when the test runs as root.
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="cp-", dir="/tmp"))
        cls.folder.chmod(0o755)
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.data = data_dir.DataDir(cls.folder / "data")
        cls.data.prepare()
        cls.port = ports.assign([postgres.NAME], cls.data.ports)[postgres.NAME]
        cls.processes = processes.Processes(cls.data)
        cls.addClassCleanup(cls.processes.stop, postgres.NAME, stop_signal=postgres.STOP_SIGNAL)
        cls.server = postgres.Postgres(cls.data, cls.processes, cls.port)
        cls.server.start()
        migrated = cls._run([*services.migrate_command()], CODER_POSTGRES_URL=cls.server.url(postgres.OWNER))
        assert migrated.returncode == 0, migrated.stderr

    @staticmethod
    def _run(command, **environment):
        return subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=dict(os.environ, **environment))

    def _psql(self, role, statement, database=postgres.DATABASE):
        return self._run([postgres.programs_dir() / "psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement,
                          self.server.url(role, database)])

    def _value(self, role, statement, database=postgres.DATABASE):
        done = self._psql(role, statement, database)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def _script(self, name, *arguments, user="postgres", **environment):
        path = f"{postgres.programs_dir()}:{os.environ['PATH']}"
        return self._run([_FILES / name, *arguments], PGHOST=ports.HOST, PGPORT=str(self.port), PGUSER=user,
                         PGPASSWORD=self.data.secret(user), PATH=path,
                         **{"CODERD_API": str(services.program("coderd-api")), **environment})


class Roles(_Server):
    """Who may do what."""

    def test_every_role_does_its_work(self):
        for role, statement in _ALLOWED:
            with self.subTest(f"{role}: {statement}"):
                self._value(role, statement)

    def test_no_role_does_anothers_work(self):
        for role, statement in _REFUSED:
            with self.subTest(f"{role}: {statement}"):
                self.assertIn("permission denied", self._psql(role, statement).stderr)

    def test_no_role_is_more_than_a_login(self):
        extra = self._value("postgres", "SELECT rolname FROM pg_roles WHERE rolname LIKE 'coder%' AND "
                            "(rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls OR NOT rolcanlogin)")
        self.assertEqual(extra, "")

    def test_others_do_not_reach_the_database(self):
        self._value("postgres", "CREATE ROLE stranger LOGIN PASSWORD 'x'")
        done = self._run([postgres.programs_dir() / "psql", "-X", "-c", "SELECT 1",
                          f"postgres://stranger:x@{ports.HOST}:{self.port}/{postgres.DATABASE}"])
        self.assertIn("permission denied for database", done.stderr)

    def test_the_roles_script_stops_when_a_password_is_missing(self):
        done = self._run([postgres.programs_dir() / "psql", "-X", "-q", "-f", _FILES / "roles.sql",
                          self.server.url("postgres", "postgres")], CODER_OWNER_PASSWORD=self.data.secret(postgres.OWNER),
                         CODER_API_PASSWORD=self.data.secret("coder_api"))
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, "syntax error(.|\n)*relay_pa")

    def test_the_server_takes_the_settings(self):
        cluster = self.data.path / "postgres"
        for line in (_FILES / "coder-suite.conf").read_text().splitlines():
            name, equals, value = line.partition(" = ")
            if not equals or line.startswith("#"):
                continue
            with self.subTest(name):
                done = self._run(self.server.as_server([postgres.programs_dir() / "postgres", "-C", name, "-D", cluster, "-c",
                                                         f"{name}={value.strip(chr(39))}"]))
                self.assertEqual(done.returncode, 0, done.stderr)


class Backups(_Server):
    """The way back."""

    def _leave_a_mark(self, word):
        self._value(postgres.OWNER, f"COMMENT ON TABLE users IS '{word}'")

    def _mark(self, database=postgres.DATABASE):
        return self._value("postgres", "SELECT obj_description('users'::regclass)", database)

    def _back_up(self, name):
        copy = self.folder / name
        done = self._script("backup.sh", copy, user=postgres.OWNER)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(copy.stat().st_mode & 0o777, 0o600)
        return copy

    def test_a_restored_database_is_in_a_new_epoch_and_the_old_one_is_kept(self):
        self._leave_a_mark("before")
        epoch = int(self._value("coder_api", _EPOCH))
        copy = self._back_up("whole.dump")
        self._leave_a_mark("after")
        # A service that holds a session is no hindrance.
        session = subprocess.Popen([postgres.programs_dir() / "psql", "-X", "-c", "SELECT pg_sleep(600)",
                                    self.server.url("coder_api")], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        done = self._script("restore.sh", copy)
        session.communicate()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self._mark(), "before")
        self.assertGreater(int(self._value("coder_api", _EPOCH)), epoch)
        kept = self._value("postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'coder_before_%'")
        self._value("postgres", f"ALTER DATABASE {kept} ALLOW_CONNECTIONS true")
        self.assertEqual(self._mark(kept), "after")
        for role, statement in _ALLOWED:
            self._value(role, statement)
        for role, statement in _REFUSED:
            self.assertIn("permission denied", self._psql(role, statement).stderr, statement)
        foreign = self._value("postgres", "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                              "AND pg_get_userbyid(relowner) <> 'coder_owner'")
        self.assertEqual(foreign, "")

    def test_a_restore_without_a_new_epoch_changes_nothing(self):
        copy = self._back_up("unused.dump")
        self._leave_a_mark("kept")
        broken = self.folder / "broken.dump"
        broken.write_bytes(copy.read_bytes()[:2000])
        for done in (self._script("restore.sh", broken), self._script("restore.sh", copy, CODERD_API="/bin/false")):
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(self._mark(), "kept")
            self._value("coder_api", _EPOCH)

    def test_a_backup_overwrites_nothing(self):
        copy = self.folder / "there"
        copy.write_text("something")
        done = self._script("backup.sh", copy)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(copy.read_text(), "something")


if __name__ == "__main__":
    unittest.main()
