"""Runs Bazel and reads what it reports about tests."""

import collections
import json
import os
import subprocess
import sys
import tempfile

from tools.dev import places, say

# What one run of tests came to.  `problems` holds a sentence per failure.
Outcome = collections.namedtuple("Outcome", "passed failed problems")

_NO_TESTS_FOUND = 4


def _options():
    shown = ["--color=yes"] if sys.stderr.isatty() else ["--color=no", "--curses=no", "--show_progress_rate_limit=15"]
    return shown + ["--keep_going"]


def run(verb, arguments):
    """Runs one Bazel command with its output on the terminal; returns its exit status."""
    command = ["bazel", verb, *_options(), *arguments]
    return subprocess.run(command, cwd=places.ROOT, stdin=subprocess.DEVNULL).returncode


def query(expression):
    """The labels a query yields, sorted."""
    found = subprocess.run(["bazel", "query", "--noshow_progress", expression], cwd=places.ROOT,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if found.returncode != 0:
        raise say.Problem(f"bazel query could not evaluate {expression}; its message is above")
    return sorted(found.stdout.split())


def build(targets):
    """Builds the targets; raises Problem when one does not."""
    if run("build", targets) != 0:
        raise say.Problem("the build failed; the first error is above")


def read_outcome(events, status):
    """Counts test targets from a build event stream and Bazel's exit status.

    A target that did not build is a failed one; a run that failed without
    saying which target counts as one failure, so that it cannot look green.
    """
    passed, problems = 0, []
    summarised, expected = set(), set()
    for event in events:
        if "targetConfigured" in event["id"] and event.get("configured", {}).get("testSize"):
            expected.add(event["id"]["targetConfigured"]["label"])
        if "testSummary" in event["id"] and "testSummary" in event:
            label = event["id"]["testSummary"]["label"]
            summarised.add(label)
            verdict = event["testSummary"].get("overallStatus", "NO_STATUS")
            if verdict == "PASSED":
                passed += 1
            else:
                problems.append(f"{label}: {verdict.lower().replace('_', ' ')}")
    problems += [f"{label}: did not build or did not run" for label in sorted(expected - summarised)]
    if status not in (0, _NO_TESTS_FOUND) and not problems:
        problems.append(f"bazel ended with status {status}; its message is above")
    return Outcome(passed, len(problems), problems)


def test(arguments):
    """Runs tests and returns their Outcome, counted in test targets."""
    handle, path = tempfile.mkstemp(prefix="coder-suite-events-")
    os.close(handle)
    try:
        status = run("test", [f"--build_event_json_file={path}", "--test_summary=terse", *arguments])
        with open(path) as stream:
            events = [json.loads(line) for line in stream if line.strip()]
    finally:
        os.unlink(path)
    return read_outcome(events, status)
