"""Keeps what runs came to, a line of JSON each, and writes docs/reliability.md from it."""

import collections
import datetime
import json
import os
import subprocess

from tools.dev import places

_INTRO = """# Reliability

What the suite lived through under load. Written by `./dev faults --record FILE --report docs/reliability.md` from the runs recorded in FILE, which are
listed at the end: every figure is of those runs and counts a round only when its whole run, to the last comparison with the tables, has been judged.

Real processes: two coderd-api, pubsub-relay (two where the fault needs them), provisionerd with the echo engine, autostart-scheduler, PostgreSQL
and nats-server. Four writers start, stop and cancel builds of 16 workspaces (one writer beside a crowd), repeating what was not answered under the
same request id; six watchers (three that resume, a slow one, one that takes snapshots, a member who may see some workspaces only) write down every
event. After each round everybody has 10 s to have seen what the tables held at the fault's end. A checker with one validator for each promise (Ordered,
Unique, Gapless, OnlyCommitted, OnlyPermitted, Resumable, BookmarkTrue, TypedEndings, Converges) judges the whole history against the clients'
acknowledged calls and the tables `workspaces` and `workspace_builds`, never against the outbox or the log.

"""


def revision():
    """Of the checkout, with a mark when it is not what was committed."""
    done = subprocess.run(["git", "-C", str(places.ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


class Record:
    """The lines of one run; without a path they are only counted."""

    def __init__(self, path, command):
        self._path = path
        self._run = f"{os.getpid()}-{datetime.datetime.now(datetime.timezone.utc):%Y%m%dT%H%M%S}"
        self.add("run", command=command, revision=revision(), date=str(datetime.date.today()), cores=os.cpu_count())

    def add(self, kind, **fields):
        """One line."""
        if self._path:
            with open(self._path, "a") as file:
                file.write(json.dumps({"kind": kind, "run": self._run} | fields) + "\n")


def read(path):
    """The lines of all recorded runs."""
    with open(path) as file:
        return [json.loads(line) for line in file]


class _Tally:
    """What came of one fault's rounds."""

    def __init__(self):
        self.rounds = 0
        self.slowest_s = 0.0
        self.seeds = set()
        self.failed = 0


def _tallies(lines):
    """Of every fault, from groups of faults that were judged to the end or failed."""
    judged = {(line["run"], name) for line in lines if line["kind"] == "judged" for name in line["faults"]}
    tallies = collections.defaultdict(_Tally)
    for line in lines:
        tally = tallies[line.get("fault")]
        if line["kind"] == "failed":
            tally.failed += 1
        if line["kind"] == "round" and (line["run"], line["fault"]) in judged:
            tally.rounds += 1
            tally.slowest_s = max(tally.slowest_s, line["caught_up_s"])
            tally.seeds.add(line["seed"])
    return tallies


def rows(lines, faults):
    """The table of outcomes, in Markdown."""
    text = ["| fault | rounds passed | wanted | slowest to catch up | seeds | result |", "|---|---|---|---|---|---|"]
    tallies = _tallies(lines)
    for fault in faults:
        tally = tallies[fault.name]
        result = f"{tally.failed} rounds FAILED" if tally.failed else "pass" if tally.rounds >= fault.wanted else \
            "not run" if tally.rounds == 0 else "pass, fewer rounds than wanted"
        seeds = ", ".join(str(seed) for seed in sorted(tally.seeds))
        text.append(f"| {fault.name}: {fault.__doc__.splitlines()[0].rstrip('.')} | {tally.rounds} | {fault.wanted} | "
                    f"{tally.slowest_s:.2f} s | {seeds} | {result} |")
    return "\n".join(text)


def _mutations(lines):
    noticed = {line["mutation"]: line for line in lines if line["kind"] == "mutation"}
    return [f"* `{name}` (seed {line['seed']}): " + (f"noticed, {line['noticed']}" if line["noticed"] else "NOT NOTICED")
            for name, line in sorted(noticed.items())]


def _hits(lines):
    hits = collections.Counter()
    for line in lines:
        if line["kind"] == "judged":
            hits.update(line["hits"])
    return [f"| {name} | {hits[name]} |" for name in sorted(hits)]


def _runs(lines):
    runs = [line for line in lines if line["kind"] == "run"]
    told = [f"* `{line['command']}`, revision {line['revision']}, {line['date']}, {line['cores']} cores shared with other work"
            for line in runs if any(other["run"] == line["run"] and other["kind"] != "run" for other in lines)]
    return told + [f"  * {line['told']}" for line in lines if line["kind"] == "judged"]


def write(path, lines, faults):
    """The whole document."""
    failures = [f"* {line['fault']}, seed {line['seed']}: {' '.join(line['why'].split())}" for line in lines if line["kind"] == "failed"]
    verdict = "What was wrong:\n\n" + "\n".join(failures) if failures else \
        "In these rounds nothing was lost, doubled, reordered or made up."
    parts = [rows(lines, faults), verdict, "## Protections switched off\n\nEach has to turn the suite red.", "\n".join(_mutations(lines)),
             "## Failpoints\n\nA run of enough rounds fails when one of its failpoints is never reached.",
             "| failpoint | hits |\n|---|---|\n" + "\n".join(_hits(lines)), "## Runs", "\n".join(_runs(lines))]
    with open(path, "w") as file:
        file.write(_INTRO + "\n\n".join(parts) + "\n")
