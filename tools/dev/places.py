"""Where things are: the checkout, the caches, the pinned versions."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]


def cache_dir():
    """The suite's cache of this user; everything in it can be made again."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base) / "coder-suite"


def built():
    """Where Bazel puts what it built: among the runfiles in a test, else under bazel-bin."""
    if "TEST_SRCDIR" in os.environ:
        return pathlib.Path(os.environ["TEST_SRCDIR"]) / os.environ["TEST_WORKSPACE"]
    return ROOT / "bazel-bin"


def versions():
    """tools/versions.env as a dict of strings."""
    pairs = {}
    for line in (ROOT / "tools/versions.env").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            pairs[name] = value
    return pairs
