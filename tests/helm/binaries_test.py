"""What the chart tells the binaries is what they take."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from deploy.local import nats, services
from tests.helm import chart, node, release
from tools.dev import chart_values, tests_need


def setUpModule():
    """Renders every case once."""
    global cases
    helm = chart.Helm(tests_need.program("CODER_TEST_HELM"))
    cases = {name: release.Release(chart.documents(helm.case(name))) for name in chart.CASES}
    helm.close()


def _configuration(command, environment):
    done = subprocess.run([*command, "--print-config"], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr}")
    return dict(re.match(r"([a-z-]+): (.*)  # ", line).groups() for line in done.stdout.splitlines())


def _seconds(text):
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)([hms])", text))


class Binaries(unittest.TestCase):
    """Holds renders against the built services."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ct-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)

    def test_the_options_known_to_the_schema_are_the_binaries(self):
        for name in chart_values.COMPONENTS.values():
            text = subprocess.run([services.program(name), "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
            self.assertEqual(chart.options()[name], chart_values.option_names(text), f"{name}: run ./dev helm --update")

    def test_every_container_of_ours_takes_its_arguments(self):
        for case, rendered in cases.items():
            place = self.folder / case
            place.mkdir()
            here = node.Node(place, rendered, _given(rendered))
            here.ports = _Anything()
            for workload in rendered.workloads():
                labels, pod = release.pod_of(workload)
                for container in release.containers_of(pod):
                    if not node.binary_of(container).exists():
                        continue  # A server of the trial, or a container the values bring.
                    with self.subTest(f"{case}: {release.name_of(workload)}: {container['name']}"):
                        command = here.command(labels["app.kubernetes.io/component"], pod, container)
                        values = _configuration(command, node.environment_of(container))
                        self._check(values, pod, container)

    def _check(self, values, pod, container):
        for port in container.get("ports", []):
            self.assertEqual(values[f"{port['name']}-listen"], f"0.0.0.0:{port['containerPort']}")
        if container.get("ports"):
            self.assertGreater(pod["terminationGracePeriodSeconds"], _seconds(values["drain-timeout"]) + 5)

    def test_an_argument_too_many_is_refused(self):
        with self.assertRaisesRegex(AssertionError, "flag --frobnicate is unknown"):
            _configuration([str(services.program("pubsub-relay")), "--frobnicate=1"], None)

    def test_the_trials_nats_allows_what_the_launchers_does(self):
        text = cases["trial"].named("Secret", "coder-coder-suite-trial-nats")["stringData"]["nats.conf"]
        for user, permissions in nats.PERMISSIONS.items():
            section = text.split(f"user: {user}\n")[1].split("user:")[0]
            for verb, subjects in permissions.items():
                listed = re.search(rf"{verb}: \[(.*)\]", section).group(1)
                self.assertEqual([subject.strip('" ') for subject in listed.split(",")], subjects)


class _Anything(dict):
    """A port for whatever is asked for."""

    def __missing__(self, _):
        return 1


def _given(rendered):
    """Some content for every key of Secrets that the case says exist."""
    given = {}
    for workload in rendered.workloads():
        for volume in release.pod_of(workload)[1]["volumes"]:
            for item in volume.get("secret", {}).get("items", []):
                given.setdefault(volume["secret"]["secretName"], {})[item["key"]] = f"the content of {item['key']}\n"
    return given


if __name__ == "__main__":
    unittest.main()
