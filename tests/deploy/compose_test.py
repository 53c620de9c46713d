"""deploy/compose and deploy/docker as far as they can be held against the rest without an engine of containers."""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

from deploy.docker import images
from deploy.local import services
from tools.dev import places

_FOLDER = places.ROOT / "deploy/compose"
_SECRETS = "${SECRETS:-./secrets}"
_COMPOSE = yaml.safe_load((_FOLDER / "compose.yaml").read_text())
_DOCKERFILE = (places.ROOT / "deploy/docker/Dockerfile").read_text()


def _own():
    """(name in compose, program, definition) of the services that run a program of ours."""
    for name, service in _COMPOSE["services"].items():
        found = re.fullmatch(re.escape("${REGISTRY:-" + images.REGISTRY + "}/") + r"([a-z-]+):\$\{TAG:-(.*)\}", service["image"])
        if found:
            yield name, found, service


def _seconds(text):
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)([hms])", text))


class Compose(unittest.TestCase):
    """The file, and the secrets that setup.sh makes for it."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coder-suite-compose-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def _set_up(self):
        """Runs setup.sh with a docker that runs the built program where the image would be run."""
        docker = self.folder / "docker"
        docker.write_text(f'#!/bin/sh\nshift 3\nexec {services.program("coderd-api")} "$@"\n')
        docker.chmod(0o755)
        environment = dict(os.environ, PATH=f"{self.folder}:{os.environ['PATH']}")
        secrets = self.folder / "secrets"
        done = subprocess.run([_FOLDER / "setup.sh", secrets], env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        return secrets, environment

    def test_images_of_ours_have_the_charts_names_and_this_version(self):
        found = {program.group(1): program.group(2) for _, program, _ in _own()}
        self.assertEqual(found, {name: images.version() for name in services.NAMES})
        values = yaml.safe_load((places.ROOT / "helm/coder-suite/values.yaml").read_text())
        self.assertEqual(values["image"]["registry"], images.REGISTRY)

    def test_images_of_others_have_a_version(self):
        for name, service in _COMPOSE["services"].items():
            self.assertRegex(service["image"], r":(\$\{TAG:-)?v?\d+[\w.-]*\}$", name)

    def test_every_file_is_there(self):
        secrets, _ = self._set_up()
        for name, service in _COMPOSE["services"].items():
            for mount in service.get("volumes", []):
                source = mount.rsplit(":", 2)[0] if mount.endswith(":ro") else mount.rsplit(":", 1)[0]
                if "/" in source:
                    path = pathlib.Path(source.replace(_SECRETS, str(secrets)))
                    self.assertTrue((_FOLDER / path).exists(), f"{name}: {source}")
            for path in service.get("env_file", []):
                self.assertTrue(pathlib.Path(path.replace(_SECRETS, str(secrets))).exists(), path)
            for secret in service.get("secrets", []):
                self.assertTrue(pathlib.Path(_COMPOSE["secrets"][secret]["file"].replace(_SECRETS, str(secrets))).exists(), secret)

    def test_secrets_are_for_their_owner_and_made_once(self):
        secrets, environment = self._set_up()
        self.assertEqual(secrets.stat().st_mode & 0o777, 0o700)
        before = (secrets / "keyring").read_text()
        again = subprocess.run([_FOLDER / "setup.sh", secrets], env=environment, stdin=subprocess.DEVNULL, capture_output=True)
        self.assertEqual(again.returncode, 1)
        self.assertEqual((secrets / "keyring").read_text(), before)

    def test_a_key_that_could_not_be_made_leaves_no_folder(self):
        docker = self.folder / "docker"
        docker.write_text("#!/bin/sh\nexit 1\n")
        docker.chmod(0o755)
        done = subprocess.run([_FOLDER / "setup.sh", self.folder / "secrets"], stdin=subprocess.DEVNULL, capture_output=True,
                              env=dict(os.environ, PATH=f"{self.folder}:{os.environ['PATH']}"))
        self.assertNotEqual(done.returncode, 0)
        self.assertFalse((self.folder / "secrets").exists())

    def test_the_programs_take_their_arguments(self):
        secrets, _ = self._set_up()
        (secrets / "provisioner-key").write_text("a key\n")
        for name, program, service in _own():
            arguments = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", argument).replace("/run/secrets", str(secrets))
                         for argument in service["command"]]
            done = subprocess.run([str(services.program(program.group(1))), *arguments, "--print-config"],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, f"{name}: {done.stderr}")
            values = dict(re.match(r"([a-z-]+): (.*)  # ", line).groups() for line in done.stdout.splitlines())
            for argument in service["command"]:
                if argument.startswith("--") and "/run/secrets/" in argument:
                    self.assertIn(argument.rpartition("/")[2], service["secrets"], name)
            self.assertGreaterEqual(_seconds(service["stop_grace_period"]), _seconds(values["drain-timeout"]) + 5, name)

    def test_every_container_is_contained(self):
        for name, service in _COMPOSE["services"].items():
            self.assertIs(service["read_only"], True, name)
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertEqual(service["security_opt"], ["no-new-privileges:true"], name)
            self.assertIn("mem_limit", service, name)
            for port in service.get("ports", []):
                self.assertTrue(port.startswith("127.0.0.1:"), f"{name}: {port}")

    def test_only_two_services_reach_the_servers(self):
        reached = {name for name, service in _COMPOSE["services"].items() if "data" in service["networks"]}
        self.assertEqual(reached, {"postgres", "nats", "migrate", "coderd-api", "pubsub-relay"})

    def test_prometheus_takes_its_configuration(self):
        config = self.folder / "prometheus.yml"
        text = (_FOLDER / "prometheus.yml").read_text()
        rules = shutil.copy(places.ROOT / "deploy/prometheus/coder-suite.rules.yaml", self.folder / "coder-suite.rules.yaml")
        config.write_text(text.replace("/etc/prometheus/coder-suite.rules.yaml", str(rules)))
        done = subprocess.run(["promtool", "check", "config", config], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"SUCCESS: \d+ rules found")
        (scraped,) = yaml.safe_load(text)["scrape_configs"]
        self.assertEqual(set(scraped["dns_sd_configs"][0]["names"]), set(services.NAMES))


class Dockerfile(unittest.TestCase):
    """What can be read of it."""

    def test_every_service_has_a_target_that_is_not_root(self):
        targets = dict(re.findall(r"(?ms)^FROM \S+ AS (\S+)\n(.*?)(?=^FROM|\Z)", _DOCKERFILE))
        self.assertEqual(set(targets) - {"roots"}, set(services.NAMES))
        for name in services.NAMES:
            self.assertIn("USER 65532:65532\n", targets[name])
            self.assertIn(f'ENTRYPOINT ["/usr/bin/{name}"]', targets[name])

    def test_it_installs_what_the_programs_are_linked_with(self):
        installed = re.findall(r"install -y --no-install-recommends ((?:[^&]|\\\n)*?)(?:&&|\nCOPY)", _DOCKERFILE)
        self.assertEqual(len(installed), 2)
        for name in services.NAMES:
            packages = set(installed[name == "provisionerd"].replace("\\\n", " ").split())
            needed = subprocess.run(["readelf", "-d", services.program(name)], stdout=subprocess.PIPE, text=True, check=True).stdout
            told = subprocess.run(["ldd", services.program(name)], stdout=subprocess.PIPE, text=True, check=True).stdout
            paths = dict(re.findall(r"^\t(\S+) => (\S+) ", told, re.M))
            for library in re.findall(r"\(NEEDED\).*\[(.*)\]", needed):
                if library in paths:
                    owner = _package_of(paths[library])
                    # The first is everywhere; the second comes with libgrpc++.
                    self.assertIn(owner, packages | {"libc6", "libgcc-s1", "libgrpc29"}, f"{name}: {library}")


@functools.cache
def _package_of(path):
    for candidate in (os.path.realpath(path), os.path.realpath(path).removeprefix("/usr"), path):
        done = subprocess.run(["dpkg-query", "-S", candidate], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if done.returncode == 0:
            return done.stdout.partition(":")[0]
    raise AssertionError(f"no package has {path}")


if __name__ == "__main__":
    unittest.main()
