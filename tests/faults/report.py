"""Writes docs/reliability.md from a run's outcomes."""

import datetime
import os
import subprocess

from tools.dev import places

_INTRO = """# Reliability

What the suite lived through under load, written by `./dev faults --report docs/reliability.md`; the figures are of that one run.

Real processes: two coderd-api, pubsub-relay (two where the fault needs them), provisionerd with the echo engine, autostart-scheduler, PostgreSQL
and nats-server. Four writers start, stop and cancel builds of 16 workspaces, repeating what was not answered under the same request id; six
watchers (three that resume, a slow one, one that takes snapshots, a member who may see some workspaces only) write down every event. After each
round everybody has 10 s to have seen what the tables held at the fault's end. A checker with one validator for each promise (Ordered, Unique,
Gapless, OnlyCommitted, OnlyPermitted, Resumable, BookmarkTrue, TypedEndings, Converges) judges the whole history against the clients' acknowledged
calls and the tables `workspaces` and `workspace_builds`, never against the outbox or the log.

"""


def _commit():
    done = subprocess.run(["git", "-C", str(places.ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def rows(outcomes):
    """The table of outcomes, in Markdown."""
    lines = ["| fault | rounds passed | wanted | slowest to catch up | result |", "|---|---|---|---|---|"]
    for outcome in outcomes.values():
        result = "FAILED" if outcome.failures else "pass" if outcome.rounds >= outcome.fault.wanted else \
            "not run" if outcome.rounds == 0 else "pass, fewer rounds than wanted"
        lines.append(f"| {outcome.fault.name}: {outcome.fault.__doc__.splitlines()[0].rstrip('.')} | {outcome.rounds} | "
                     f"{outcome.fault.wanted} | {outcome.slowest_s:.2f} s | {result} |")
    return "\n".join(lines)


def write(path, command, outcomes, wrong, notes):
    """The whole document."""
    failures = wrong + [failure for outcome in outcomes.values() for failure in outcome.failures]
    verdict = "Nothing was lost, doubled, reordered or made up." if not failures else \
        "What was wrong:\n\n" + "\n".join(f"* {failure}" for failure in failures)
    text = (f"{_INTRO}`{command}`, revision {_commit()}, {datetime.date.today()}, {os.cpu_count()} cores shared with other work.\n\n"
            f"{rows(outcomes)}\n\n{verdict}\n\n" + "\n".join(f"* {note}" for note in notes) + "\n")
    with open(path, "w") as file:
        file.write(text)
