"""Judges what watches saw since a new epoch began, as if it were all there ever was."""

from tests.faults import checker

_OF_WATCHES = ("open", "item", "token", "event", "unreadable", "end")


def lines_of(lines, epoch):
    """Of each watch, from the opening with which it came into the epoch; AssertionError when it was not a snapshot's."""
    opened, entered = {}, {}
    for number, line in enumerate(lines):
        if line["kind"] == "open":
            opened[line["watch"]] = (number, line["snapshot"])
        if line["kind"] == "token" and line["epoch"] == epoch and line["watch"] not in entered:
            number, is_snapshot = opened[line["watch"]]
            if not is_snapshot:
                raise AssertionError(f"{line['watch']} came into epoch {epoch} without a snapshot")
            entered[line["watch"]] = number
    return [line for number, line in enumerate(lines)
            if line["kind"] in _OF_WATCHES and number >= entered.get(line["watch"], len(lines))]


def wrongs(lines, epoch, acks, truth, member, is_over):
    """What is wrong with the epoch's part of the history.

    `acks` are those of builds that were asked for in the epoch, `truth` the tables after `lines` were written; with
    `is_over` nothing was written since.
    """
    judge = checker.Checker(member=member)
    told = lines_of(lines, epoch)
    for line in told + acks:
        judge.feed(line)
    if is_over:
        judge.finish(truth)
        return judge.violations
    seen = {(line["watch"], line["build"]) for line in told if line["kind"] in ("event", "item")}
    phantoms = {build for _, build in seen} - set(truth.builds)
    missed = [f"{name} saw nothing of build {line['build']}" for line in acks for name in ("all-0", "all-1", "all-2")
              if (name, line["build"]) not in seen]
    return judge.violations + [f"OnlyCommitted: build {build} was seen and is not there" for build in phantoms] + missed
