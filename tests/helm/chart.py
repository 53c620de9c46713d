"""Renders the chart as `helm install` would, for tests and for `./dev helm`."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import yaml

from tools.dev import chart_values, places

CHART = places.ROOT / "helm/coder-suite"
TESTS = places.ROOT / "tests/helm"
KUBERNETES = "1.36.0"
_APIS = ("monitoring.coreos.com/v1",)
_TRIAL = ["--set", "trial.password=0123456789abcdef0123456789abcdef"]

# Golden render -> (values files below CHART or TESTS, further arguments).
CASES = {
    "default": (["cases/default.yaml"], []),
    "trial": (["values-trial.yaml"], _TRIAL),
    "ha": (["cases/default.yaml", "values-ha.yaml"], []),
    "tls": (["cases/default.yaml", "cases/tls.yaml"], []),
    "gitops": (["cases/default.yaml", "cases/gitops.yaml"], []),
    "keda": (["cases/default.yaml", "cases/keda.yaml"], []),
    "monitors": (["cases/default.yaml", "cases/monitors.yaml"], []),
    "everything": (["cases/default.yaml", "cases/everything.yaml"], []),
}


class Refused(Exception):
    """The chart does not take the values; the text is helm's."""


class _Loader(yaml.SafeLoader):
    """Refuses a key given twice, of which YAML readers take one in silence."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.YAMLError(f"{', '.join(sorted(twice))} is there twice{node.start_mark}")
        return super().construct_mapping(node, deep)


def documents(text):
    """The objects of a multi-document YAML text."""
    return [found for found in yaml.load_all(text, _Loader) if found]


class Helm:
    """The pinned helm with a copy of the chart, whose files may be links where tests run."""

    def __init__(self, program):
        self._program = str(program)
        self._folder = tempfile.TemporaryDirectory(prefix="coder-suite-chart-")
        self.home = pathlib.Path(self._folder.name)
        self.chart = self.home / "coder-suite"
        shutil.copytree(CHART, self.chart)

    def close(self):
        """Removes the copy."""
        self._folder.cleanup()

    def run(self, *arguments):
        """How helm ended, with no configuration but ours."""
        environment = dict(os.environ, HELM_CACHE_HOME=str(self.home / "cache"), HELM_CONFIG_HOME=str(self.home / "config"),
                           HELM_DATA_HOME=str(self.home / "data"), KUBECONFIG=os.devnull)
        return subprocess.run([self._program, *map(str, arguments)], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)

    def _values(self, files):
        arguments = []
        for name in files:
            arguments += ["-f", (self.chart if (self.chart / name).exists() else TESTS) / name]
        return arguments

    def lint(self, case):
        """What `helm lint --strict` complains of; empty when nothing."""
        files, arguments = CASES[case]
        done = self.run("lint", "--strict", "--quiet", self.chart, "--kube-version", KUBERNETES, *self._values(files),
                        *arguments)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def template(self, files, *arguments, apis=_APIS, chart=None):
        """The rendered text; raises Refused."""
        versions = [f"--api-versions={api}" for api in apis]
        done = self.run("template", "coder", chart or self.chart, "--namespace", "coder", "--kube-version", KUBERNETES,
                        *versions, *self._values(files), *arguments)
        if done.returncode != 0:
            raise Refused(done.stderr.strip())
        return done.stdout

    def case(self, name):
        """The golden text of a case."""
        files, arguments = CASES[name]
        return self.template(files, *arguments)

    def notes(self, name):
        """What `helm install` prints after a case; it would ask a cluster first, so the text is rendered as a value."""
        shutil.copy(self.chart / "templates/NOTES.txt", self.chart / "files/notes.txt")
        shown = self.chart / "templates/shown.yaml"
        shown.write_text('notes: {{ tpl (.Files.Get "files/notes.txt") . | quote }}\n')
        try:
            files, arguments = CASES[name]
            return documents(self.template(files, *arguments, "--show-only", "templates/shown.yaml"))[0]["notes"]
        finally:
            shown.unlink()


def options():
    """The names each binary knows, as `./dev helm --update` read them from --help."""
    return yaml.safe_load((TESTS / "options.yaml").read_text())


def generated():
    """Path below the checkout -> text of the files made from values.yaml."""
    values = (CHART / "values.yaml").read_text()
    return {
        "helm/coder-suite/values.schema.json": chart_values.schema(values, options()),
        "helm/coder-suite/README.md": chart_values.with_table((CHART / "README.md").read_text(), values),
    }
