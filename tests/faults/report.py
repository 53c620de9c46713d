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
        self.failed = set()


def _tallies(lines):
    """Of every fault, from groups of faults that were judged to the end or failed."""
    judged = {(line["run"], name) for line in lines if line["kind"] == "judged" for name in line["faults"]}
    tallies = collections.defaultdict(_Tally)
    for line in lines:
        tally = tallies[line.get("fault")]
        if line["kind"] == "failed":
            tally.failed.add(line["run"])
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
        result = f"{len(tally.failed)} runs FAILED, see below" if tally.failed else "pass" if tally.rounds >= fault.wanted else \
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


def _failures(lines):
    """The first thing that was wrong with each group of rounds, and what somebody has found out about it since."""
    first, count = {}, collections.Counter()
    for line in lines:
        if line["kind"] == "failed":
            place = (line["run"], line["fault"], line["seed"])
            first.setdefault(place, " ".join(line["why"].split()))
            count[place] += 1
    found = {(line["fault"], line["seed"]): line["found"] for line in lines if line["kind"] == "found"}
    return [f"* {fault}, seed {seed}: {why}" + (f" (and {count[run, fault, seed] - 1} more)" if count[run, fault, seed] > 1 else "")
            + (f". **{found[fault, seed]}**" if (fault, seed) in found else "") for (run, fault, seed), why in first.items()]


def write(path, lines, faults):
    """The whole document."""
    failures = _failures(lines)
    verdict = "What was wrong, with the rounds before it in the same run not counted:\n\n" + "\n".join(failures) if failures else \
        "In these rounds nothing was lost, doubled, reordered or made up."
    parts = [rows(lines, faults), verdict, "## Protections switched off\n\nEach has to turn the suite red.", "\n".join(_mutations(lines)),
             "## Failpoints\n\nA run of enough rounds fails when one of its failpoints is never reached.",
             "| failpoint | hits |\n|---|---|\n" + "\n".join(_hits(lines)), "## Runs", "\n".join(_runs(lines))]
    with open(path, "w") as file:
        file.write(_INTRO + "\n\n".join(parts) + "\n")
