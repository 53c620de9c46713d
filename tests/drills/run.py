"""`./dev drill`: an operator's procedures, done to a suite of real processes under load."""

import random
import time

from tests.drills import drill as parts, nats_rebuilt, restore, rolling, rotation, scale_down
from tests.faults import world as suite
from tools.dev import engine, say

DRILLS = {drill.name: drill for module in (rolling, restore, rotation, scale_down, nats_rebuilt) for drill in module.DRILLS}


def listing():
    """A line for each."""
    return "\n".join(f"{drill.name:24} about {drill.minutes} min  {drill.__doc__}\n{'':24} spoilt by    {drill.spoilt}"
                     for drill in DRILLS.values())


def _play(drill, world, notes, spoil):
    drill.begin(world, notes, spoil)
    drill.run(world, notes, spoil)
    notes.step("the load ends; the whole history is held against the tables")
    world.finish()
    notes.found(f"{world.count('event')} events seen by watches, {world.count('end')} streams ended")
    drill.judge(world, notes)


def run(drill, seed, spoil):
    """Does the drill and tells how it went; what was wrong."""
    print(f"{drill.name}: {drill.__doc__}" + (f" Spoilt: {drill.spoilt}." if spoil else ""), flush=True)
    began = time.monotonic()
    notes = parts.Notes()
    world = suite.World(seed, drill.kind, template=drill.template, engine_files=engine.prepare() if drill.uses_engine else None)
    try:
        try:
            _play(drill, world, notes, spoil)
        except (AssertionError, say.Problem) as error:
            notes.hold(False, str(error))
        for violation in world.violations() if world.checker else ():
            notes.hold(violation in notes.wrong, violation)
        if notes.wrong and not spoil:
            print(world.service_logs(), flush=True)
    finally:
        world.stop()
    took = f"{time.monotonic() - began:.0f} s, seed {seed}"
    if notes.wrong:
        print(f"FAIL {drill.name} ({took}): {notes.wrong[0]}" + (f" and {len(notes.wrong) - 1} more" if notes.wrong[1:] else ""))
    else:
        print(f"PASS {drill.name} ({took})")
    return notes.wrong


def main(arguments):
    """Does what the arguments of `./dev drill` ask for; the exit status."""
    if arguments.list:
        print(listing())
        return 0
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1, 1_000_000)
    bad = []
    for name in arguments.names or DRILLS:
        wrong = run(DRILLS[name], seed, arguments.spoil)
        if arguments.spoil:
            print(f"{name}, spoilt, was " + ("noticed" if wrong else "NOT NOTICED"))
        bad += [name] if bool(wrong) != arguments.spoil else []
    return 1 if bad else 0
