"""The units of deploy/systemd: systemd takes them, they give little away, and the services take what they say."""

import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

from deploy.local import services
from tools.dev import places

_UNITS = places.ROOT / "deploy/systemd"
# What `systemd-analyze security` may find at most, of 100. Without hardening it finds 96.
_EXPOSURE = 15


def _exec_start(unit):
    (line,) = re.findall(r"^ExecStart=(.*)$", (_UNITS / unit).read_text(), re.M)
    return shlex.split(line)


def _setting(unit, name):
    return re.findall(rf"^{name}=(.*)$", (_UNITS / unit).read_text(), re.M)


class Units(unittest.TestCase):
    """Nothing here needs a running systemd."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coder-suite-units-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.names = sorted(path.name for path in _UNITS.glob("*.service"))

    def _root(self):
        """A machine with the units and the programs installed."""
        system = self.folder / "usr/lib/systemd/system"
        shutil.copytree("/usr/lib/systemd/system", system, symlinks=True)
        (self.folder / "usr/bin").mkdir()
        for name in services.NAMES:
            program = self.folder / "usr/bin" / name
            program.touch(0o755)
        for name in self.names:
            shutil.copy(_UNITS / name, system / name)
        return self.folder

    def test_there_is_one_for_each_service_and_one_that_migrates(self):
        self.assertEqual(self.names, sorted([f"{name}.service" for name in services.NAMES] + ["coder-migrate.service"]))

    def test_systemd_takes_them(self):
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", f"--root={self._root()}", *self.names],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        # An unknown setting is a line of output and no failure.
        self.assertEqual((done.stdout, done.returncode), ("", 0))

    def test_they_give_little_away(self):
        for name in self.names:
            copy = shutil.copy(_UNITS / name, self.folder / name)
            done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                                   f"--threshold={_EXPOSURE}", str(copy)], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual(done.returncode, 0, done.stdout)

    def _configuration(self, unit):
        """What the unit's program would run with, by option."""
        credentials = self.folder / unit
        credentials.mkdir()
        for pair in _setting(unit, "LoadCredential"):
            (credentials / pair.partition(":")[0]).write_text("a secret\n")
        program, *arguments = _exec_start(unit)
        for old, new in (("%d", str(credentials)), ("/etc/coder-suite", str(_UNITS / "etc"))):
            arguments = [argument.replace(old, new) for argument in arguments]
        command = [str(services.program(pathlib.Path(program).name)), *arguments, "--print-config"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, f"{unit}: {done.stderr}")
        return dict(re.match(r"([a-z-]+): (.*)  # ", line).groups() for line in done.stdout.splitlines())

    def test_the_services_take_what_they_say(self):
        seen = set()
        for unit in self.names:
            values = self._configuration(unit)
            if unit == "coder-migrate.service":
                continue
            self.assertNotIn(values["admin-listen"], seen, "two services want one port")
            seen.add(values["admin-listen"])
            grace = sum(float(number) for number in re.findall(r"([\d.]+)s$", _setting(unit, "TimeoutStopSec")[0]))
            self.assertGreaterEqual(grace, _seconds(values["drain-timeout"]) + 5, unit)
            self.assertLessEqual(len(values.get("work-dir", "")), 40)

    def test_secrets_are_files_of_root(self):
        for unit in self.names:
            for argument in _exec_start(unit):
                if argument.startswith("--") and argument.partition("=")[0].endswith(("-url", "-key", "-token", "keyring")):
                    self.fail(f"{unit}: {argument} would be seen by everybody")
            for pair in _setting(unit, "LoadCredential"):
                self.assertIn(":/etc/coder-suite/secrets/", pair)


def _seconds(text):
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)([hms])", text))


if __name__ == "__main__":
    unittest.main()
