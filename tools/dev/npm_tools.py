"""Linters pinned in tools/npm, installed on demand into the user's cache."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys

from tools.dev import places, say


def _ensure_packages():
    """Installs the locked packages unless the cache has them; returns their folder."""
    source = places.ROOT / "tools/npm"
    lock = (source / "package-lock.json").read_bytes()
    target = places.cache_dir() / "tools" / f"npm-{hashlib.sha256(lock).hexdigest()[:16]}"
    packages = target / "node_modules"
    if packages.exists():
        return packages
    say.step("installing buf and buildifier")
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, fresh / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if subprocess.run(command, cwd=fresh, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode != 0:
        raise say.Problem(f"npm could not install {source}/package-lock.json; its message is above")
    try:
        fresh.rename(target)
    except OSError:  # another process was faster
        shutil.rmtree(fresh)
    return packages


def buf():
    """The program that lints, compares and formats protos."""
    machine = {"x86_64": "x64", "aarch64": "aarch64"}[platform.machine()]
    return _ensure_packages() / f"@bufbuild/buf-linux-{machine}/bin/buf"


def buildifier():
    """The program that checks and formats Bazel files."""
    return _ensure_packages() / ".bin/buildifier"
