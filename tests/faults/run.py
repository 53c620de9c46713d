"""`./dev faults`: breaks the suite under load, again and again, and judges what clients saw."""

import collections
import random
import time

from tests.faults import (board, crowd, database, descriptors, kills, leases, poison, regressions, relays, report, restore,
                          stream, tails, world)
from tools.dev import say

FAULTS = {fault.name: fault for module in
          (kills, database, stream, tails, poison, relays, leases, descriptors, restore, crowd) for fault in module.FAULTS}
# What a mutation needs to be noticed.
_MUTATION_FAULTS = {"off.rights_check": ["kill-nats"], "off.gap_fill": ["nats-away"],
                    "off.epoch_check": ["restore-stream-ahead"], "off.fence": ["relay-frozen"],
                    "off.lease_check": ["provisionerd-frozen"],
                    "off.drop_old": ["stream-recreated", "stream-deleted", "kill-nats"]}
# One round of each of these in the short run.
SHORT = ["kill-pubsub-relay", "kill-coderd-api", "nats-away", "kill-provisionerd", "postgres-immediate",
         "backends-terminated", "commit-cut", "stream-deleted", "stream-recreated", "stream-poison", "outbox-poison", "relay-nats-cut"]


def listing():
    """One line for each fault and mutation."""
    lines = [f"{fault.name:31} {fault.wanted:4} rounds  {fault.__doc__.splitlines()[0]}" for fault in FAULTS.values()]
    return "\n".join(lines + [f"{name:31}  mutation    of {where}" for name, where in board.MUTATIONS.items()])


def _arm_mutation(here, mutation):
    for name in here.local.instances:
        if here.boards[name].service == board.MUTATIONS[mutation]:
            here.boards[name].arm(mutation, board.ON)


def _play(here, order, seed, record, until):
    """Runs the rounds in their order until the first failure or `until`; how many of each fault were run."""
    rounds = collections.Counter()
    for number, fault in enumerate(order):
        if until and time.monotonic() > until:
            return rounds
        # Of the round alone, so that a round is the same whatever came before it.
        choice = random.Random(f"{seed} {fault.name} {rounds[fault.name]}")
        rounds[fault.name] += 1
        started = time.monotonic()
        try:
            done = fault.run(here, choice)
            took = here.converge(f"{fault.name}, {done}")
            _check(here, fault)
        except (AssertionError, say.Problem) as error:
            here.blame(str(error))
        if here.violations():
            print(f"  {number + 1:4} {fault.name}: FAILED {here.violations()[0]}", flush=True)
            for why in here.violations():
                record.add("failed", fault=fault.name, seed=seed, why=why)
            return rounds
        record.add("round", fault=fault.name, seed=seed, done=done, caught_up_s=round(took, 2))
        print(f"  {number + 1:4} {fault.name}: {done}; {time.monotonic() - started:.1f} s, "
              f"all caught up after {took:.2f} s", flush=True)
    return rounds


def _check(here, fault):
    for problem in fault.check(here) if hasattr(fault, "check") else ():
        here.blame(problem)


def _group(faults):
    """Faults that can share one suite, by what it has to be like."""
    groups = {}
    for fault in faults:
        kind = world.Kind(*(getattr(fault, name, usual) for name, usual in world.Kind()._asdict().items()))
        groups.setdefault(kind, []).append(fault)
    return groups


def _hits(here, faults):
    """How often each failpoint of these faults was reached."""
    return {point: sum(place.hits(point) for place in here.boards.values() if point in board.POINTS[place.service])
            for fault in faults if hasattr(fault, "points") for point in fault.points()}


def _never_reached(here, faults, rounds):
    """Failpoints of faults with enough rounds that nobody reached."""
    hits = _hits(here, faults)
    for point, count in hits.items():
        print(f"  failpoint {point}: {count} hits", flush=True)
    return [f"failpoint {point} was never reached" for fault in faults if hasattr(fault, "points")
            for point in fault.points() if rounds[fault.name] >= 4 * len(fault.points()) and hits[point] == 0]


def _judge(here, faults, rounds, seed, record):
    """Ends the writing and judges the whole; what was wrong."""
    wrong = here.finish() + _never_reached(here, faults, rounds)
    told = (f"{here.count('event')} events seen by watches, {here.count('ack')} builds acknowledged, {here.count('retry')} calls "
            f"repeated, {here.count('end')} streams ended, with {', '.join(fault.name for fault in faults)}")
    print("  " + told, flush=True)
    if not wrong:
        record.add("judged", faults=[fault.name for fault in faults], told=told, hits=_hits(here, faults))
    for why in wrong:
        record.add("failed", fault=" or ".join(fault.name for fault in faults), seed=seed, why=why)
    return wrong


def _run_group(here, faults, rounds, seed, record, mutation, until):
    """Runs faults that share one suite; what was wrong."""
    order = [fault for fault in faults for _ in range(rounds or fault.wanted)]
    random.Random(seed).shuffle(order)
    try:
        here.start()
        print(f"seed {seed}: {len(order)} rounds of {', '.join(fault.name for fault in faults)}", flush=True)
        if mutation:
            _arm_mutation(here, mutation)
        played = _play(here, order, seed, record, until)
        return here.violations() or _judge(here, faults, played, seed, record)
    except (AssertionError, say.Problem) as error:
        return [str(error)]


def run(names, rounds, seed, record, mutation=None, seconds=None):
    """Runs the named faults and records what came of them; what was wrong, as texts."""
    wrong = []
    until = time.monotonic() + seconds if seconds else None
    for kind, faults in _group([FAULTS[name] for name in names]).items():
        here = world.World(seed, kind)
        try:
            found = _run_group(here, faults, rounds, seed, record, mutation, until)
            if found and not mutation:
                print(here.service_logs(), flush=True)
        finally:
            here.stop()
        wrong += found
    return wrong


def see_red(mutation, seed, record):
    """Whether the suite notices that the protection is off."""
    found = run(_MUTATION_FAULTS[mutation], 4, seed, report.Record(None, ""), mutation=mutation)
    record.add("mutation", mutation=mutation, seed=seed, noticed=found[0] if found else None)
    print(f"mutation {mutation}: " + (f"noticed: {found[0]}" if found else "NOT NOTICED"), flush=True)
    return bool(found)


def _command(arguments, seed):
    """What runs the same again."""
    words = ["./dev faults", f"--seed {seed}"] + ["--short"] * arguments.short
    words += [f"--{name} {value}" for name, value in (("rounds", arguments.rounds), ("seconds", arguments.seconds)) if value]
    words += [f"--only {name}" for name in arguments.only or ()]
    words += ["--regressions"] * arguments.regressions + ["--mutations"] * arguments.mutations + ([f"--mutation {arguments.mutation}"] if arguments.mutation else [])
    return " ".join(words)


def _run_all(arguments):
    """What was wrong."""
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1, 1_000_000)
    command = _command(arguments, seed)
    record = report.Record(arguments.record, command)
    mutations = list(_MUTATION_FAULTS) if arguments.mutations else [arguments.mutation] if arguments.mutation else []
    if mutations:
        return [f"{mutation} was not noticed" for mutation in mutations if not see_red(mutation, seed, record)]
    if arguments.regressions:
        return [problem for known in regressions.REGRESSIONS for problem in run([known.fault], known.rounds, known.seed, record)]
    names = arguments.only or (SHORT if arguments.short else list(FAULTS))
    wrong = run(names, 1 if arguments.short else arguments.rounds, seed, record, seconds=arguments.seconds)
    if wrong:
        print(f"replay with: {command}")
    return wrong


def main(arguments):
    """Does what the arguments of `./dev faults` ask for; the exit status."""
    if arguments.list:
        print(listing())
        return 0
    wrong = [] if arguments.summarise else _run_all(arguments)
    for problem in wrong:
        print(f"FAILED {problem}")
    if arguments.report:
        report.write(arguments.report, report.read(arguments.record), list(FAULTS.values()))
    return 1 if wrong else 0
