"""A data directory is taken over only when it is the launcher's, of this version and not in use."""

import json
import os
import pathlib
import stat
import tempfile
import unittest
from unittest import mock

from deploy.local import data_dir
from tools.dev import places, say


class DataDirTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "suite"
        self.data = data_dir.DataDir(self.path)

    def test_prepared_twice_is_prepared_once(self):
        self.assertFalse(self.data.exists())
        self.data.prepare()
        self.data.prepare()
        self.assertTrue(self.data.exists())
        self.assertTrue(self.data.logs.is_dir() and self.data.run.is_dir())

    def test_data_of_another_postgresql_are_refused(self):
        self.data.prepare()
        (self.path / "suite.json").write_text(json.dumps({"layout": 1, "postgres_major": "13"}))
        major = places.versions()["POSTGRES_MAJOR"]
        with self.assertRaisesRegex(say.Problem, f"data of PostgreSQL 13 and this suite runs {major}.*pg_upgrade"):
            self.data.prepare()

    def test_another_layout_is_refused(self):
        self.data.prepare()
        (self.path / "suite.json").write_text(json.dumps({"layout": 99, "postgres_major": "15"}))
        with self.assertRaisesRegex(say.Problem, "layout 99"):
            self.data.prepare()

    def test_somebody_elses_directory_is_neither_used_nor_deleted(self):
        self.path.mkdir()
        (self.path / "thesis.txt").write_text("dear")
        with self.assertRaisesRegex(say.Problem, "not made by ./dev up"):
            self.data.prepare()
        with self.assertRaisesRegex(say.Problem, "not deleted"):
            self.data.delete()
        self.assertTrue((self.path / "thesis.txt").exists())

    def test_secrets_are_stable_different_and_private(self):
        self.data.prepare()
        first = self.data.secret("a")
        self.assertEqual(data_dir.DataDir(self.path).secret("a"), first)
        self.assertNotEqual(self.data.secret("b"), first)
        self.assertEqual(stat.S_IMODE((self.path / "secrets.json").stat().st_mode), 0o600)

    def test_a_second_command_is_refused_while_the_first_works(self):
        with self.data.locked():
            with self.assertRaisesRegex(say.Problem, "another ./dev command"):
                with data_dir.DataDir(self.path).locked():
                    pass
        with data_dir.DataDir(self.path).locked():
            pass

    def test_root_uses_a_directory_other_accounts_can_enter(self):
        with mock.patch.dict(os.environ, {"HOME": "/home/ada"}):
            os.environ.pop("XDG_DATA_HOME", None)
            with mock.patch.object(os, "geteuid", return_value=0):
                self.assertEqual(data_dir.default_path(), pathlib.Path("/var/lib/coder-suite"))
            with mock.patch.object(os, "geteuid", return_value=1000):
                self.assertEqual(data_dir.default_path(), pathlib.Path("/home/ada/.local/share/coder-suite"))


if __name__ == "__main__":
    unittest.main()
