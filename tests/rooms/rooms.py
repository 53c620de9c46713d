"""Finds text in a room where it does not belong.

The dependency graph keeps libraries apart (//bazel:cc.bzl); this sees what it
cannot: a call, a literal, an include of a system header, a name, a length.
"""

import collections
import pathlib
import re
import sys

Rule = collections.namedtuple("Rule", "name pattern allowed advice")

_TESTS = r"(^|/)(tests|testing)/|(_(pg|nats|engine)?test|_fixture)\.(cc|h)$"

RULES = [
    Rule("wall clock", r"\babsl::Now\(|\bsystem_clock::now\(|\bstd::time\(", r"^libs/clock/|" + _TESTS,
         "take a clock, or a time as argument"),
    Rule("sleep", r"\babsl::SleepFor\(|\bsleep_for\(|\busleep\(|[^_\w]sleep\(", r"^libs/clock/|" + _TESTS,
         "wait on the clock or a condition"),
    Rule("SQL", r"\"[^\"]*\b(SELECT\b.*\bFROM|SELECT\s+\w+\(|INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE TABLE|"
                r"LOCK TABLE|WITH \w+ AS)\b",
         r"^libs/storage/(postgres|migrations)/|^libs/pg/|" + _TESTS, "move the statement to libs/storage/postgres"),
    Rule("libpq", r"#include\s+[<\"](postgresql/)?libpq-fe\.h|\bPQ[a-z]\w+\(", r"^libs/pg/",
         "go through libs/pg"),
    Rule("nats", r"#include\s+[<\"](nats/)?nats\.h|\bnatsConnection_\w+\(|\bjs_\w+\(", r"^libs/jetstream/|^tests/bench/",
         "go through libs/jetstream"),
    Rule("gRPC status", r"\bgrpc::Status\b",
         r"(_service|_handlers|_rpcs|_transfer|_reactor|_client|_stream|_interceptor)\w*\.(cc|h)$|^libs/(status|server)/|^services/coderd-api/call\.h$|"
         r"^cli/|" + _TESTS,
         "return absl::Status; the edge translates once"),
    Rule("flag", r"\bABSL_FLAG\(|\bABSL_DECLARE_FLAG\(", r"(^|/)(config|main)\.cc$|^libs/server/",
         "declare flags in config.cc"),
    Rule("name that says nothing", r"\b(class|struct)\s+(\w+\s+)?\w*(Impl|Manager|Helper|Util|Utils)\b(\s+final)?\s*[:{]",
         r"(?!)", "say what it is, not that it is something"),
]

LONGEST = 450


def violations(path, text):
    """Yields "path:line: rule: advice" for every line of a C++ file that is in the wrong room."""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        code = re.sub(r"^\s*//.*", "", line)
        for rule in RULES:
            if re.search(rule.pattern, code) and not re.search(rule.allowed, path):
                yield f"{path}:{number}: {rule.name}: {rule.advice}"
    if len(lines) > LONGEST and not re.search(_TESTS, path):
        yield f"{path}:{len(lines)}: long file: more than {LONGEST} lines; split it by what it knows"


def cpp_files(root):
    """Our C++ files under the checkout, relative to it."""
    return sorted(str(path.relative_to(root)) for folder in ("libs", "services", "cli", "tests")
                  for path in (root / folder).rglob("*") if path.suffix in (".cc", ".h"))


def check(root):
    """Checks the checkout; prints what is wrong and returns the exit status."""
    paths = cpp_files(root)
    found = [line for path in paths for line in violations(path, (root / path).read_text())]
    print("\n".join(found) if found else f"{len(paths)} files, every line in its room")
    return 1 if found or not paths else 0


if __name__ == "__main__":
    # Runfiles are links into the checkout.
    sys.exit(check(pathlib.Path(__file__).resolve().parents[2]))
