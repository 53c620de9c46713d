"""./dev bench: measures the suite as ratios to bare programs that do the same."""

import os

from tests.bench import flowing, relaying, report, rig, scheduling, watching
from tools.dev import say

# In the order of docs/benchmarks.md.
BENCHES = {
    "relay-drain": relaying.relay_drain,
    "watch-one": watching.watch_one,
    "watch-packed": watching.watch_packed,
    "watch-memory": watching.watch_memory,
    "idle": watching.idle,
    "end-to-end": flowing.end_to_end,
    "relay-tax": flowing.relay_tax,
    "slow-watchers": flowing.slow_watchers,
    "reconnect": flowing.reconnect,
    "replay": flowing.replay,
    "cron": scheduling.cron,
    "herd": scheduling.herd,
    "herd-harm": scheduling.herd_harm,
    "builds": scheduling.builds,
    "acquire": scheduling.acquire,
    "schedules": scheduling.schedules,
}


class Options:
    """How a benchmark is to run, and where it tells of itself."""

    def __init__(self, pairs, scale, watches=None):
        self.pairs = pairs
        self.scale = scale
        self.watches = watches
        self.notes = []

    @property
    def full(self):
        """Whether sizes are those the marks are meant for."""
        return self.scale == 1

    def size(self, full):
        """A size, scaled down for a quick look."""
        return max(10, int(full * self.scale))

    def tell(self, text):
        """Adds a note to what is written down."""
        say.note(text)
        self.notes.append(text)

    def pairs_of(self, ratio, ours, baseline):
        """Measures both sides in turn: once unrecorded to warm up, then every pair."""
        self.pairs_of_both((ratio,), lambda: (ours(),), lambda: (baseline(),))

    def pairs_of_both(self, ratios, ours, baseline):
        """As pairs_of, of sides that measure a quantity for each of the ratios at once."""
        say.step(f"{', '.join(ratio.name for ratio in ratios)}: {self.pairs} pairs after a warm-up")
        for number in range(self.pairs + 1):
            # The side that begins changes, so that neither always follows the other.
            if number % 2:
                other = baseline()
                own = ours()
            else:
                own = ours()
                other = baseline()
            for ratio, one, two in zip(ratios, own, other):
                say.note(f"{'warm-up' if number == 0 else f'pair {number}'}: ours {one:,.6g}, baseline {two:,.6g} "
                         f"{ratio.unit}, ratio {one / two:.3f}")
                if number:
                    ratio.add(one, two)


def _summary(name):
    return BENCHES[name].__doc__.split("\n")[0]


def bench(arguments):
    """Lists the benchmarks, or runs one and writes its section of docs/benchmarks.md."""
    if arguments.list or not arguments.name:
        for name in BENCHES:
            print(f"{name:14} {_summary(name)}")
        return 0
    if arguments.name not in BENCHES:
        raise say.Problem(f"there is no benchmark {arguments.name!r}; ./dev bench --list names them")
    rig.build()
    options = Options(arguments.pairs, arguments.scale)
    before = os.getloadavg()[0]
    results = BENCHES[arguments.name](options)
    command = f"./dev bench {arguments.name} --pairs {arguments.pairs}"
    text = report.section(arguments.name, _summary(arguments.name), command, results, options.notes,
                          (before, os.getloadavg()[0]))
    print(text, end="")
    if options.full and arguments.write:
        report.write(arguments.name, text, list(BENCHES))
    return 0 if all(result.verdict() != "missed" for result in results) else 3


def add_verbs(add, verbs):
    """Declares the verb."""
    parser = add(verbs, "bench", bench,
                 "Measures one thing the suite does against a bare program that does only that, both in turn in one\n"
                 "run, and writes the samples, the median ratio and its 90 % interval to docs/benchmarks.md.\n"
                 "Every event is parsed and checked on both sides. Exit status 0 when the floor holds, 3 when not.",
                 "./dev bench --list", "./dev bench watch-packed", "./dev bench relay-drain --pairs 9",
                 "./dev bench idle --scale 0.1")
    parser.add_argument("name", nargs="?", help="which; see --list")
    parser.add_argument("--list", action="store_true", help="name the benchmarks")
    parser.add_argument("--pairs", type=int, default=7, metavar="N", help="pairs, or samples, to measure (default: 7)")
    parser.add_argument("--scale", type=float, default=1, metavar="X",
                        help="share of the full size, for a quick look; then nothing is written down (default: 1)")
    parser.add_argument("--no-write", dest="write", action="store_false", help="leave docs/benchmarks.md as it is")
