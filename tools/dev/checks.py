"""The checks of the tree that are not Bazel tests.  Each returns "" or what is wrong."""

import pathlib
import re
import shutil
import subprocess
import tempfile

from tools.dev import npm_tools, places, say

_FOREIGN = ("third_party/",)


def tracked(*patterns):
    """Files of the tree, committed or new but not ignored, without third-party ones."""
    listing = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
                             cwd=places.ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return sorted({name for name in listing.splitlines()
                   if not name.startswith(_FOREIGN) and (places.ROOT / name).is_file()})


def cpp_files():
    return tracked("*.cc", "*.h")


def bazel_files():
    return tracked("*BUILD.bazel", "*.bzl", "WORKSPACE")


def shell_files():
    """Our shell scripts: by ending, or by first line where a name has no ending."""
    named = set(tracked("*.sh"))
    for name in tracked("dev", ".ci/run", "deploy/**", "tests/**", "tools/**"):
        if "." not in pathlib.PurePath(name).name:
            with open(places.ROOT / name, "rb") as stream:
                if re.match(rb"#!.*\b(ba|da)?sh\b", stream.readline()):
                    named.add(name)
    return sorted(named)


def _run(command):
    done = subprocess.run([str(part) for part in command], cwd=places.ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return "" if done.returncode == 0 else (done.stdout.strip() or f"{command[0]} failed without a word")


def clang_format():
    files = cpp_files()
    return _run(["clang-format", "--dry-run", "--Werror", *files]) if files else ""


def shellcheck():
    files = shell_files()
    return _run(["shellcheck", "-x", *files]) if files else ""


def buildifier():
    return _run([npm_tools.buildifier(), "--mode=check", "--lint=off", *bazel_files()])


def buf_lint():
    return _run([npm_tools.buf(), "lint"])


def _git(*arguments):
    return subprocess.run(["git", *arguments], cwd=places.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True)


def _landed_state():
    """The commit protos must stay compatible with: main when on a branch, else main's previous commit."""
    head = _git("rev-parse", "HEAD").stdout.strip()
    for name in ("origin/main", "main"):
        base = _git("merge-base", "HEAD", name)
        if base.returncode == 0 and base.stdout.strip() != head:
            return base.stdout.strip()
    previous = _git("rev-parse", "--verify", "HEAD~1")
    return previous.stdout.strip() if previous.returncode == 0 else None


def buf_breaking():
    """Compares the protos with the last landed state; a state without protos forbids nothing."""
    base = _landed_state()
    if base is None or not _git("ls-tree", base, "protos", "third_party/protos").stdout.count("\n") == 2:
        say.note("there is no landed state with protos to compare with")
        return ""
    with tempfile.TemporaryDirectory(prefix="coder-suite-protos-") as old:
        archive = subprocess.run(["git", "archive", base, "protos", "third_party/protos"],
                                 cwd=places.ROOT, stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(["tar", "-x", "-C", old], input=archive, check=True)
        shutil.copy(places.ROOT / "buf.yaml", old)
        return _run([npm_tools.buf(), "breaking", "--against", old])


# What `./dev test` runs beside Bazel and `./dev lint` runs first.
FAST = {
    "clang-format": clang_format,
    "shellcheck": shellcheck,
    "buildifier": buildifier,
    "buf lint": buf_lint,
    "buf breaking": buf_breaking,
}


def format_all():
    """Rewrites C++, protos and Bazel files in the one style; returns what could not be formatted."""
    complaints = [_run([npm_tools.buildifier(), "--lint=off", *bazel_files()]),
                  _run([npm_tools.buf(), "format", "-w", "protos"])]
    if cpp_files():
        complaints.append(_run(["clang-format", "-i", *cpp_files()]))
    return "\n".join(complaint for complaint in complaints if complaint)
