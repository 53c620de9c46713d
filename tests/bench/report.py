"""How results are printed and written down."""

import datetime
import pathlib
import re
import subprocess

from tests.bench import stats
from tools.dev import places

PATH = places.ROOT / "docs/benchmarks.md"


def _number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def describe(result):
    """Lines of Markdown: what was measured, every sample, and what it comes to."""
    sign = "≥" if isinstance(result, stats.Ratio) and result.at_least else "≤"
    marks = f"floor {sign} {result.floor:g}, goal {sign} {result.goal:g}"
    reached = {"goal": "**goal reached**", "floor": "**floor held**", "missed": "**floor missed**"}[result.verdict()]
    if isinstance(result, stats.Bound):
        samples = ", ".join(_number(sample) for sample in result.samples)
        return [f"* {result.name}: median {_number(result.median())} {result.unit} ({marks}): {reached}",
                f"  * samples: {samples}"]
    low, high = result.bounds()
    return [f"* {result.name}: median ratio {result.median():.3f}, 90 % interval {low:.3f} to {high:.3f} ({marks}): {reached}",
            f"  * ours, {result.unit}: " + ", ".join(_number(ours) for ours, _ in result.pairs),
            f"  * baseline, {result.unit}: " + ", ".join(_number(baseline) for _, baseline in result.pairs)]


def machine():
    """The machine in a few words."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", info)
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) // (1 << 20)
    system = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text()).group(1)
    return f"{info.count('processor')} × {model.group(1) if model else 'processor'}, {memory} GiB, {system}"


def _revision():
    return subprocess.run(["git", "describe", "--always", "--dirty"], cwd=places.ROOT, stdout=subprocess.PIPE,
                          text=True).stdout.strip()


def section(name, what, command, results, notes, load):
    """The section of one benchmark."""
    when = datetime.datetime.now(datetime.timezone.utc)
    return "\n".join([
        f"## {name}", "", what, "", f"`{command}` on {machine()}; revision {_revision()}, {when:%Y-%m-%d %H:%M} UTC; "
        f"load average {load[0]:.1f} before and {load[1]:.1f} after.", "",
        *[line for result in results for line in describe(result)], *[f"* {note}" for note in notes]]) + "\n"


def write(name, text, order, path=PATH):
    """Puts the section in its place in the page, instead of the one before."""
    page = path.read_text()
    intro, *parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    sections = {part.split("\n", 1)[0][3:].strip(): part.rstrip() + "\n" for part in parts}
    sections[name] = text
    rank = {known: index for index, known in enumerate(order)}
    ordered = sorted(sections, key=lambda known: rank.get(known, len(rank)))
    path.write_text(intro.rstrip() + "\n\n" + "\n".join(sections[known] for known in ordered))
