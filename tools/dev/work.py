"""The verbs a developer uses: build, test, lint, fmt, sanitizers, tools, clean."""

import os
import shutil
import subprocess

from tools.dev import bazel, checks, engine, go_tools, lint, places, say

# cc_tests that ThreadSanitizer can judge: it is blind inside the distribution's gRPC.
_TSAN_TESTS = "kind(cc_test, tests(//...)) except rdeps(//..., @grpc//:lib) except attr(tags, no-tsan, //...)"


def build(arguments):
    """Builds the named targets, or all."""
    say.step("building")
    bazel.build((["--config=opt"] if arguments.opt else []) + (arguments.targets or ["//..."]))
    return 0


def write_test_environment():
    """Tells Bazel's tests where the engine and the foreign client are, through user.bazelrc."""
    program, config = engine.prepare()
    grpcurl = go_tools.ensure("grpcurl")
    lines = [f"test --test_env=CODER_TEST_ENGINE={program}",
             f"test --test_env=CODER_TEST_ENGINE_CONFIG={config}",
             f"test --test_env=CODER_TEST_GRPCURL={grpcurl}",
             f"test --test_env=CODER_TEST_NEWER_NATS_SERVER={go_tools.ensure('nats-server')}",
             f"test --test_env=CODER_TEST_HELM={go_tools.ensure('helm')}",
             f"test --test_env=CODER_TEST_KUBECONFORM={go_tools.ensure('kubeconform')}"]
    text = "\n".join(lines) + "\n"
    path = places.ROOT / "user.bazelrc"
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _run_fast_checks():
    problems = []
    for name, check in checks.FAST.items():
        say.step(f"check: {name}")
        complaint = check()
        if complaint:
            print(complaint, flush=True)
            problems.append(f"{name}: see its message above")
    return bazel.Outcome(len(checks.FAST) - len(problems), len(problems), problems)


def summary(outcomes):
    """Prints every failure and the closing line; returns the exit status, not 0 when no test ran."""
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    for outcome in outcomes:
        for problem in outcome.problems:
            print(f"FAILED {problem}")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 0 if failed == 0 and passed > 0 else 1


def test(arguments):
    """Runs Bazel's tests, then the fast checks when nothing narrower was asked for."""
    if arguments.fast:
        say.step("tests that need no server and no engine")
        tags = "--test_tag_filters=-requires-postgres,-requires-nats,-requires-engine,-requires-helm"
        return summary([bazel.test([tags, *(arguments.targets or ["//..."])])])
    write_test_environment()
    say.step("building and running the tests")
    outcomes = [bazel.test(arguments.targets or ["//..."])]
    if not arguments.targets:
        outcomes.append(_run_fast_checks())
    return summary(outcomes)


def lint_all(arguments):
    """Every check, clang-tidy last because it is the slow one."""
    outcomes = [_run_fast_checks()]
    say.step("check: rooms")
    outcomes.append(bazel.test(["//tests/rooms:all"]))
    complaint = lint.clang_tidy(arguments.changed)
    if complaint:
        print(complaint, flush=True)
    outcomes.append(bazel.Outcome(0, 1, ["clang-tidy: see its message above"]) if complaint
                    else bazel.Outcome(1, 0, []))
    return summary(outcomes)


def fmt(_arguments):
    """Formats in place."""
    say.step("formatting")
    complaint = checks.format_all()
    if complaint:
        raise say.Problem(f"not everything could be formatted:\n{complaint}")
    return 0


def sanitize(arguments):
    """Runs tests under the sanitizer the verb names."""
    targets = arguments.targets
    if arguments.verb == "tsan":
        expression = _TSAN_TESTS
        if targets:
            expression = f"({expression}) intersect tests({' + '.join(targets)})"
        targets = bazel.query(expression)
        if not targets:
            raise say.Problem("none of these tests can run under ThreadSanitizer: all of them link gRPC")
    elif not targets:
        targets = ["//..."]
    write_test_environment()
    say.step(f"tests under {arguments.verb}")
    return summary([bazel.test([f"--config={arguments.verb}", "--test_lang_filters=cc", *targets])])


def sim(arguments):
    """Runs seeds of the simulated event path."""
    first, count = (arguments.first, arguments.seeds) if arguments.seed is None else (arguments.seed, 1)
    runner = "//tests/sim:sim_runner"
    bazel.build([runner])
    say.step(f"seeds {first} to {first + count - 1}")
    return subprocess.run([places.ROOT / "bazel-bin/tests/sim/sim_runner", str(first), str(count)]).returncode


def tools(_arguments):
    """Builds the pinned tools and prints where each is."""
    program, config = engine.prepare()
    print(f"engine\t{program}")
    print(f"engine-config\t{config}")
    for name, path in go_tools.ensure_all().items():
        print(f"{name}\t{path}")
    return 0


def clean(arguments):
    """Deletes what builds left in the checkout and, if asked, the cache all checkouts share."""
    say.step("deleting build outputs")
    bazel.run("clean", [])
    for name in ("compile_commands.json", "user.bazelrc"):
        path = places.ROOT / name
        if path.exists():
            os.unlink(path)
    if arguments.cache:
        # Where .bazelrc's --disk_cache points.
        shutil.rmtree(os.path.expanduser("~/.cache/coder-suite/bazel"), ignore_errors=True)
    return 0
