"""`./dev faults`: breaks the suite under load, again and again, and judges what clients saw."""

import random
import time

from tests.faults import board, database, kills, poison, relays, report, restore, stream, world

FAULTS = {fault.name: fault for module in (kills, database, stream, poison, relays, restore) for fault in module.FAULTS}
# What a mutation needs to be noticed.
_MUTATION_FAULTS = {"off.rights_check": ["kill-nats"], "off.gap_fill": ["nats-away"],
                    "off.epoch_check": ["restore-stream-ahead"]}
# One round of each of these in the short run.
SHORT = ["kill-pubsub-relay", "kill-coderd-api", "nats-away", "kill-provisionerd", "postgres-immediate",
         "backends-terminated", "commit-cut", "stream-deleted", "stream-recreated", "stream-poison", "outbox-poison", "relay-nats-cut"]


class Outcome:
    """What came of one fault's rounds."""

    def __init__(self, fault):
        self.fault = fault
        self.rounds = 0
        self.slowest_s = 0.0
        self.failures = []


def listing():
    """One line for each fault and mutation."""
    lines = [f"{fault.name:26} {fault.wanted:4} rounds  {fault.__doc__.splitlines()[0]}" for fault in FAULTS.values()]
    return "\n".join(lines + [f"{name:26}  mutation    of {where}" for name, where in board.MUTATIONS.items()])


def _arm_mutation(here, mutation):
    for name in here.local.instances:
        if here.boards[name].service == board.MUTATIONS[mutation]:
            here.boards[name].arm(mutation, board.ON)


def _play(here, order, seed, outcomes, seconds):
    """Runs the rounds in their order until the first failure or the end of the time."""
    began = time.monotonic()
    for number, fault in enumerate(order):
        if seconds and time.monotonic() - began > seconds:
            return
        outcome = outcomes[fault.name]
        # Of the round alone, so that a round is the same whatever came before it.
        choice = random.Random(f"{seed} {fault.name} {outcome.rounds}")
        started = time.monotonic()
        try:
            done = fault.run(here, choice)
            took = here.converge(f"{fault.name}, {done}")
        except AssertionError as error:
            outcome.failures.append(str(error))
            print(f"  {number + 1:4} {fault.name}: FAILED {error}", flush=True)
            return
        outcome.rounds += 1
        outcome.slowest_s = max(outcome.slowest_s, took)
        print(f"  {number + 1:4} {fault.name}: {done}; {time.monotonic() - started:.1f} s, "
              f"all caught up after {took:.2f} s", flush=True)
        if here.violations():
            outcome.failures += here.violations()
            return


def _group(faults):
    """Faults that can share one suite."""
    groups = {}
    for fault in faults:
        groups.setdefault((getattr(fault, "relays", 1), getattr(fault, "sets_back", False)), []).append(fault)
    return groups


def _points(faults):
    return [point for fault in faults if hasattr(fault, "points") for point in fault.points()]


def _hits_of(here, point):
    return sum(place.hits(point) for place in here.boards.values() if point in board.POINTS[place.service])


def _hits(here, faults):
    """How often each failpoint was reached, as texts."""
    return [f"failpoint {point}: {_hits_of(here, point)} hits" for point in _points(faults)]


def _check_hits(here, faults, rounds):
    """Failpoints of faults with enough rounds that nobody reached."""
    for text in _hits(here, faults):
        print(f"  {text}", flush=True)
    return [f"failpoint {point} was never reached" for fault in faults if hasattr(fault, "points")
            for point in fault.points() if rounds >= 4 * len(fault.points()) and _hits_of(here, point) == 0]


def run(names, rounds, seed, mutation=None, seconds=None, notes=None):
    """Runs the named faults; returns their outcomes and what else was wrong, and adds what a report may tell to `notes`."""
    outcomes, wrong = {}, []
    for (relay_count, sets_back), faults in _group([FAULTS[name] for name in names]).items():
        order = [fault for fault in faults for _ in range(rounds or fault.wanted)]
        random.Random(seed).shuffle(order)
        outcomes |= {fault.name: Outcome(fault) for fault in faults}
        here = world.World(seed, set_back=sets_back, relays=relay_count)
        try:
            here.start()
            print(f"seed {seed}: {len(order)} rounds of {', '.join(fault.name for fault in faults)}", flush=True)
            if mutation:
                _arm_mutation(here, mutation)
            _play(here, order, seed, outcomes, seconds)
            failed = any(outcome.failures for outcome in outcomes.values())
            if not failed:
                wrong += here.finish()
                wrong += _check_hits(here, faults, rounds or faults[0].wanted)
            if (failed or wrong) and not mutation:
                print(here.service_logs(), flush=True)
            told = (f"{here.count('event')} events seen by watches, {here.count('ack')} builds acknowledged, "
                    f"{here.count('retry')} calls repeated, {here.count('end')} streams ended")
            print("  " + told, flush=True)
            if notes is not None:
                notes.append(told + f", with {', '.join(fault.name for fault in faults)}")
                notes += _hits(here, faults)
        except AssertionError as error:
            wrong.append(str(error))
            print(here.service_logs(), flush=True)
        finally:
            here.stop()
    return outcomes, wrong


def see_red(mutation, seed):
    """Whether the suite notices that the protection is off."""
    outcomes, wrong = run(_MUTATION_FAULTS[mutation], 4, seed, mutation=mutation)
    found = wrong + [failure for outcome in outcomes.values() for failure in outcome.failures]
    print(f"mutation {mutation}: " + (f"noticed: {found[0]}" if found else "NOT NOTICED"), flush=True)
    return bool(found)


def main(arguments):
    """Runs what the arguments of `./dev faults` ask for; the exit status."""
    if arguments.list:
        print(listing())
        return 0
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1, 1_000_000)
    mutations = list(_MUTATION_FAULTS) if arguments.mutations else [arguments.mutation] if arguments.mutation else []
    if mutations:
        return 0 if all([see_red(mutation, seed) for mutation in mutations]) else 1
    names = arguments.only or (SHORT if arguments.short else list(FAULTS))
    notes = []
    outcomes, wrong = run(names, 1 if arguments.short else arguments.rounds, seed, seconds=arguments.seconds, notes=notes)
    print(report.rows(outcomes))
    for problem in wrong + [failure for outcome in outcomes.values() for failure in outcome.failures]:
        print(f"FAILED {problem}")
    if arguments.report:
        limits = "".join(f" --{name} {value}" for name, value in (("rounds", arguments.rounds), ("seconds", arguments.seconds))
                         if value) + "".join(f" --only {name}" for name in arguments.only or ())
        report.write(arguments.report, f"./dev faults --seed {seed}{limits}", outcomes, wrong, notes)
    failed = bool(wrong) or any(outcome.failures for outcome in outcomes.values())
    if failed:
        what = "--short" if arguments.short else " ".join(f"--only {name}" for name in names)
        rounds = f" --rounds {arguments.rounds}" if arguments.rounds else ""
        print(f"replay with: ./dev faults --seed {seed}{rounds} {what}")
    return 1 if failed else 0
