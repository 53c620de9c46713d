"""The verb `faults`."""

import argparse
import sys

from deploy.local import services
from tests.faults import board, run
from tools.dev import bazel, say


def add_arguments(parser):
    """Those of `./dev faults`."""
    parser.add_argument("--rounds", type=int, help="rounds of each fault (default: as many as its row of --list says)")
    parser.add_argument("--seed", type=int, help="chooses order, places and moments (default: a random one, printed)")
    parser.add_argument("--only", action="append", choices=list(run.FAULTS), metavar="NAME",
                        help="only this fault; may be given again")
    parser.add_argument("--seconds", type=int, help="begin no round after so many seconds")
    parser.add_argument("--short", action="store_true", help="the run of about a minute that is part of ./dev test")
    parser.add_argument("--record", metavar="FILE", help="add what came of each round there, a line of JSON each")
    parser.add_argument("--report", metavar="FILE", help="write the summary of all that --record's file holds, as docs/reliability.md is")
    parser.add_argument("--summarise", action="store_true", help="run nothing, only write the summary")
    parser.add_argument("--list", action="store_true", help="name the faults and the mutations")
    parser.add_argument("--mutation", choices=list(board.MUTATIONS), metavar="NAME",
                        help="switch a protection off; succeeds when the suite notices")
    parser.add_argument("--regressions", action="store_true", help="play the rounds that once found something wrong again")
    parser.add_argument("--mutations", action="store_true", help="every mutation, one after the other")


def build_and_run(arguments):
    """Builds the suite and its load, then breaks it."""
    if arguments.report and not arguments.record:
        raise say.Problem("--report sums up a record; name it with --record FILE")
    if not arguments.list and not arguments.summarise:
        say.step("building the services and the load")
        bazel.build([*services.build_targets(), "//tests/faults:fault_load", "//tests/faults:fault_crowd"])
    return run.main(arguments)


if __name__ == "__main__":
    _parser = argparse.ArgumentParser()
    add_arguments(_parser)
    sys.exit(run.main(_parser.parse_args()))
