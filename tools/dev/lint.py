"""clang-tidy over our C++, with compile commands taken from Bazel's own action graph."""

import concurrent.futures
import hashlib
import json
import os
import subprocess

from tools.dev import bazel, checks, places, say

# g++ says these, clang does not know them.
_GCC_ONLY = {"-fno-canonical-system-headers", "-Wunused-but-set-parameter", "-Wno-free-nonheap-object"}


def commands_from_actions(graph, output_base):
    """Source file -> compiler arguments, from `aquery --output=jsonproto`.

    Bazel writes paths relative to its execution root; from the checkout only
    `external/` has to be pointed elsewhere, `bazel-out` is a link there.
    """
    commands = {}
    for action in graph.get("actions", []):
        arguments = action["arguments"]
        source = arguments[arguments.index("-c") + 1]
        if source.startswith(("external/", "bazel-out/", "/")):
            continue
        kept = []
        for argument in arguments[1:arguments.index("-c")]:
            if argument in _GCC_ONLY or argument.startswith(("-MF", "-MD", "-frandom-seed")) or argument.endswith(".d"):
                continue
            if argument.startswith("external/"):
                argument = f"{output_base}/{argument}"
            kept.append(argument)
        commands[source] = kept
    return commands


def _output_of(*command):
    done = subprocess.run(command, cwd=places.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise say.Problem(f"{' '.join(command[:2])} failed; its message is above")
    return done.stdout


def write_compile_commands():
    """Builds what is generated, writes compile_commands.json and returns its commands."""
    say.step("building everything clang-tidy has to see")
    bazel.build(["//..."])
    graph = json.loads(_output_of("bazel", "aquery", "--noshow_progress", "--output=jsonproto",
                                  'mnemonic("CppCompile", //...)'))
    output_base = _output_of("bazel", "info", "--noshow_progress", "output_base").strip()
    commands = commands_from_actions(graph, output_base)
    entries = [{"directory": str(places.ROOT), "file": source, "arguments": ["clang++", *arguments, "-c", source]}
               for source, arguments in sorted(commands.items())]
    (places.ROOT / "compile_commands.json").write_text(json.dumps(entries, indent=1))
    return commands


def _fingerprint(source, arguments):
    """Names everything the verdict on a file depends on: rules, flags and the preprocessed text."""
    text = subprocess.run(["g++", "-std=c++20", "-E", "-P", *[a for a in arguments if a != "-P"], source],
                          cwd=places.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    digest = hashlib.sha256((places.ROOT / ".clang-tidy").read_bytes())
    # Where Bazel put the libraries differs from checkout to checkout; what they say is in the text.
    flags = [argument for argument in arguments if "/external/" not in argument]
    digest.update(repr(flags).encode() + (places.ROOT / source).read_bytes() + text)
    return digest.hexdigest()


def _tidy(source, arguments):
    """Returns "" when clang-tidy is content, else what it says; remembers the files it was content with."""
    seal = places.cache_dir() / "clang-tidy" / _fingerprint(source, arguments)
    if seal.exists():
        return ""
    done = subprocess.run(["clang-tidy", "-p", ".", "--quiet", "--extra-arg=-Wno-unknown-warning-option", source],
                          cwd=places.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode == 0:
        seal.parent.mkdir(parents=True, exist_ok=True)
        seal.touch()
        return ""
    return done.stdout.strip() or done.stderr.strip()


def _changed_since_main():
    names = _output_of("git", "diff", "--name-only", "--merge-base", "main").splitlines()
    return set(names) | set(_output_of("git", "ls-files", "--others", "--exclude-standard").splitlines())


def clang_tidy(changed_only):
    """Runs clang-tidy over every .cc of ours, or those changed since main; returns the complaints."""
    commands = write_compile_commands()
    wanted = set(checks.tracked("*.cc")) & set(commands)
    if changed_only:
        wanted &= _changed_since_main()
    say.step(f"clang-tidy over {len(wanted)} files (unchanged ones are remembered)")
    complaints = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = {pool.submit(_tidy, source, commands[source]): source for source in sorted(wanted)}
        for done, verdict in enumerate(concurrent.futures.as_completed(verdicts), 1):
            text = verdict.result()
            say.note(f"[{done}/{len(verdicts)}] {verdicts[verdict]}{': refused' if text else ''}")
            if text:
                complaints.append(text)
    return "\n".join(complaints)
