"""Parses `./dev <verb> …` and calls what does it."""

import argparse
import signal
import sys

from deploy.docker import images
from deploy.local import launcher, metrics
from tests.bench import bench
from tests.containers import verb as containers
from tests.drills import verb as drills
from tests.faults import verb as fault_suite
from tools.dev import fuzz, say, work


def _verb(verbs, name, action, text, *examples):
    parser = verbs.add_parser(
        name, help=text.splitlines()[0], description=text, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples))
    parser.set_defaults(action=action)
    return parser


def _helm(arguments):
    # It needs PyYAML, which is there for this verb and the tests only.
    from tools.dev import helm
    return helm.run(arguments)


def _add_work(verbs):
    build = _verb(verbs, "build", work.build, "Compiles everything, or the named Bazel targets.",
                  "./dev build", "./dev build //services/coderd-api/...", "./dev build --opt //services/...")
    build.add_argument("--opt", action="store_true", help="optimized, as installed")
    build.add_argument("targets", nargs="*", help="Bazel targets (default: //...)")

    test = _verb(verbs, "test", work.test,
                 "Builds and runs all tests and the fast checks, or only the named Bazel tests.\n"
                 "The last line is `N passed, N failed`, counted in test targets and checks; the exit status is 0\n"
                 "only when something ran and nothing failed.",
                 "./dev test", "./dev test --fast", "./dev test //libs/schedule/... //libs/lifecycle/...")
    test.add_argument("--fast", action="store_true", help="only tests that need no server and no engine")
    test.add_argument("targets", nargs="*", help="Bazel tests (default: //... and the fast checks)")

    lint = _verb(verbs, "lint", work.lint_all,
                 "Every check: clang-format, shellcheck, buildifier, buf lint and breaking, rooms, clang-tidy.",
                 "./dev lint", "./dev lint --changed")
    lint.add_argument("--changed", action="store_true", help="clang-tidy only over files changed since main")

    _verb(verbs, "fmt", work.fmt, "Formats C++, protos and Bazel files in place.", "./dev fmt")

    for name, what in (("asan", "AddressSanitizer"), ("ubsan", "UndefinedBehaviorSanitizer"),
                       ("tsan", "ThreadSanitizer (tests that do not link gRPC)")):
        sanitizer = _verb(verbs, name, work.sanitize, f"Runs the C++ tests under {what}.",
                          f"./dev {name}", f"./dev {name} //libs/fanout/...")
        sanitizer.add_argument("targets", nargs="*", help="Bazel tests (default: all that apply)")

    sim = _verb(verbs, "sim", work.sim,
                "Runs the path of events (relay, ring, watches) in one thread over a simulated database, stream\n"
                "and clock, with faults drawn from each seed, and holds every message against the promises.\n"
                "A seed that breaks one is printed and replays with --seed.",
                "./dev sim", "./dev sim --seeds 20000 --from 50000", "./dev sim --seed 4711")
    sim.add_argument("--seeds", type=int, default=5000, help="how many to run (default: 5000)")
    sim.add_argument("--from", type=int, default=0, dest="first", help="the first seed (default: 0)")
    sim.add_argument("--seed", type=int, help="run only this one")

    fuzzer = _verb(verbs, "fuzz", fuzz.run,
                   "Gives the functions that must stand any bytes (packs of events and filters, resume tokens,\n"
                   "schedules, template archives) inputs that libFuzzer makes up. An input that breaks one is kept.",
                   "./dev fuzz", "./dev fuzz pack --seconds 600")
    fuzzer.add_argument("target", nargs="?", help="only this one (default: all)")
    fuzzer.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")

    _verb(verbs, "tools", work.tools,
          "Builds the pinned engine, provider and clients, and prints where they are, tab-separated.",
          "./dev tools", "./dev tools | awk '$1 == \"grpcurl\" {print $2}'")
    chart = _verb(verbs, "helm", _helm,
                  "Renders a case of the Helm chart, or makes anew what derives from the chart.\n"
                  "--update writes values.schema.json, the table in the chart's README.md and the golden renders.",
                  "./dev helm default", "./dev helm --update", "./dev helm --update --keep-options")
    chart.add_argument("case", nargs="?", default="default", help="what to render (default: default)")
    chart.add_argument("--update", action="store_true", help="write instead of print")
    chart.add_argument("--keep-options", action="store_true", help="do not build the services to ask for their options")
    catalogue = _verb(verbs, "metrics", metrics.run,
                      "Starts a suite for a moment and prints the page of all metrics that its services serve.",
                      "./dev metrics", "./dev metrics --update")
    catalogue.add_argument("--update", action="store_true", help=f"write {metrics.PATH} instead of printing")
    clean = _verb(verbs, "clean", work.clean, "Deletes build outputs; pinned tools and the suite's data stay.",
                  "./dev clean", "./dev clean --cache")
    clean.add_argument("--cache", action="store_true", help="also the build cache that all checkouts of this user share")


def _add_faults(verbs):
    parser = _verb(verbs, "faults", fault_suite.build_and_run,
                   "Breaks a suite of real processes under load, again and again, and judges what its clients saw.\n"
                   "Every round ends when all watchers have caught up; the summary is a Markdown table. A failing run\n"
                   "prints how to replay it.",
                   "./dev faults --list", "./dev faults --rounds 5", "./dev faults --only kill-nats --rounds 100",
                   "./dev faults --seed 4711 --only stream-deleted", "./dev faults --mutations")
    fault_suite.add_arguments(parser)


def _add_drills(verbs):
    parser = _verb(verbs, "drill", drills.build_and_run,
                   "Does an operator's procedures (rolling upgrade, restore, certificates, scaling down, a new NATS) to a suite\n"
                   "of real processes under load, and holds what its clients saw against what was promised. Each ends with PASS\n"
                   "or FAIL and the reason; docs/drills says how to do the same to a deployment of yours.",
                   "./dev drill --list", "./dev drill rolling-upgrade", "./dev drill", "./dev drill nats-rebuilt --spoil")
    drills.add_arguments(parser)


def parser():
    """The parser of every verb."""
    top = argparse.ArgumentParser(prog="./dev", add_help=False)
    verbs = top.add_subparsers(dest="verb", metavar="verb", required=True)
    launcher.add_verbs(_verb, verbs)
    _add_work(verbs)
    bench.add_verbs(_verb, verbs)
    _add_faults(verbs)
    _add_drills(verbs)
    images.add_verbs(_verb, verbs)
    containers.add_verbs(_verb, verbs)
    return top


def main(arguments):
    """Runs one verb; returns the process's exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parsed = parser().parse_args(arguments)
    try:
        return parsed.action(parsed)
    except say.Problem as problem:
        print(f"dev: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("dev: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
