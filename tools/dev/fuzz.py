"""Fuzzes the functions that must stand any bytes (tests/fuzz) with clang's libFuzzer."""

import subprocess

from tools.dev import places, say

_CORPORA = places.ROOT / "tests/fuzz/corpus"


def names():
    """The targets; each has a corpus."""
    return sorted(path.name for path in _CORPORA.iterdir())


def _bazel(*arguments, **options):
    # An output base of its own: a change of compiler throws away everything Bazel knows.
    output_base = places.cache_dir() / "fuzz/bazel"
    output_base.mkdir(parents=True, exist_ok=True)
    return subprocess.run(["bazel", f"--output_base={output_base}", *arguments], cwd=places.ROOT,
                          stdin=subprocess.DEVNULL, text=True, **options)


def _fuzz(program, name, seconds):
    grown = places.cache_dir() / "fuzz/corpus" / name
    found = places.cache_dir() / "fuzz/found"
    grown.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    say.step(f"fuzzing {name} for {seconds} s")
    ended = subprocess.run([program, f"-max_total_time={seconds}", "-max_len=4096", "-timeout=10", "-print_final_stats=1",
                            f"-artifact_prefix={found}/{name}-", grown, _CORPORA / name])
    if ended.returncode != 0:
        raise say.Problem(f"{name} does not stand an input; it is in {found}, named above. "
                          f"Mend the function and put the input into tests/fuzz/corpus/{name}")


def run(arguments):
    """Builds the targets with clang and fuzzes each for a while."""
    wanted = [arguments.target] if arguments.target else names()
    unknown = set(wanted) - set(names())
    if unknown:
        raise say.Problem(f"there is no fuzz target {unknown.pop()}; there are {', '.join(names())}")
    labels = [f"//tests/fuzz:{name}_fuzzer" for name in wanted]
    if _bazel("build", "--config=fuzz", "--symlink_prefix=/", *labels).returncode != 0:
        raise say.Problem("the fuzzers do not build; the first error is above")
    binaries = _bazel("info", "--config=fuzz", "bazel-bin", stdout=subprocess.PIPE).stdout.strip()
    for name in wanted:
        _fuzz(f"{binaries}/tests/fuzz/{name}_fuzzer", name, arguments.seconds)
    return 0
