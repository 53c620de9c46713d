"""The catalogue of metrics, made from what running services serve."""

import collections
import pathlib
import re
import shutil
import tempfile
import urllib.request

from deploy.local import data_dir, ports, services, suite
from tools.dev import bazel, places, say

PATH = "docs/metrics.md"
_INTRO = """# Metrics

Every service serves these at `/metrics` of its admin port, in Prometheus's text format. Series exist from the start, at zero. No label
holds a user or a workspace. Made by `./dev metrics --update`; a test holds this page to what the services serve.
"""
_LINE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? \S+$")
_LABEL = re.compile(r'(\w+)="')
# Of the exposition, not of the metric.
_FORMAT_LABELS = {"le", "quantile"}

Metric = collections.namedtuple("Metric", "name kind help labels")


def scrape(port):
    """What an admin port of this machine serves."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{ports.HOST}:{port}/metrics", timeout=10) as response:
        return response.read().decode()


def parse(text):
    """The metrics of a scrape, by name."""
    helps, kinds, labels = {}, {}, collections.defaultdict(set)
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, _, told = line[7:].partition(" ")
            helps[name] = told
        elif line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            kinds[name] = kind
        elif found := _LINE.match(line):
            labels[found.group(1)] |= set(_LABEL.findall(found.group(2) or "")) - _FORMAT_LABELS
    suffixes = {"histogram": "_bucket", "summary": "_sum"}
    return {name: Metric(name, kind, helps.get(name, ""), sorted(labels[name + suffixes.get(kind, "")]))
            for name, kind in kinds.items()}


def _row(metric):
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    told = metric.help.replace("|", "\\|")
    return f"| `{metric.name}` | {metric.kind} | {labels} | {told} |"


def render(scrapes):
    """The page; `scrapes` maps a service to what it serves."""
    found = {name: parse(text) for name, text in scrapes.items()}
    shared = set.intersection(*(set(metrics) for metrics in found.values()))
    groups = [("Every service", next(iter(found.values())), shared)]
    groups += [(name, metrics, set(metrics) - shared) for name, metrics in found.items()]
    page = [_INTRO]
    for title, metrics, names in groups:
        page += [f"## {title}\n", "| metric | type | labels | meaning |", "|---|---|---|---|"]
        page += [_row(metrics[name]) for name in sorted(names)]
        page.append("")
    return "\n".join(page)


def render_running(local):
    """The page of a suite that runs."""
    return render({name: scrape(local.ports[f"{name} admin"]) for name in services.NAMES})


def _render_new():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="coder-metrics-", dir="/tmp"))
    folder.chmod(0o755)
    # All serve gRPC, as they do where their health is asked for.
    flags = {name: [f"--grpc-port-file={name}.port"] for name in services.NAMES}
    local = suite.Suite(data_dir.DataDir(folder / "data"), flags=flags)
    try:
        local.up()
        return render_running(local)
    finally:
        local.down()
        local.delete()
        shutil.rmtree(folder, ignore_errors=True)


def run(arguments):
    """`./dev metrics`: prints the page, or writes it."""
    bazel.build(services.build_targets())
    text = _render_new()
    if not arguments.update:
        print(text, end="")
        return 0
    (places.ROOT / PATH).write_text(text)
    say.note(f"wrote {PATH}")
    return 0
