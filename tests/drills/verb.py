"""The verb `drill`."""

import argparse
import sys

from deploy.local import services
from tests.drills import run
from tools.dev import bazel, say


def _drill(name):
    if name not in run.DRILLS:
        raise argparse.ArgumentTypeError(f"there is no drill '{name}'; there are {', '.join(run.DRILLS)}")
    return name


def add_arguments(parser):
    """Those of `./dev drill`."""
    parser.add_argument("names", nargs="*", metavar="NAME", type=_drill, help="only these (default: all)")
    parser.add_argument("--seed", type=int, help="chooses what the load does (default: a random one, printed)")
    parser.add_argument("--spoil", action="store_true", help="do it wrong on purpose; succeeds when the drill notices")
    parser.add_argument("--list", action="store_true", help="name the drills")


def build_and_run(arguments):
    """Builds the suite and its load, then does the drills."""
    if not arguments.list:
        say.step("building the services and the load")
        bazel.build([*services.build_targets(), "//tests/faults:fault_load"])
    return run.main(arguments)


if __name__ == "__main__":
    _parser = argparse.ArgumentParser()
    add_arguments(_parser)
    sys.exit(run.main(_parser.parse_args()))
