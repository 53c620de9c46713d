"""What every drill is made of: a suite under load, steps told as they are done, and a list of what was wrong."""

import collections
import time

from tests.faults import world as suite

# How long an instance may take to leave: the drain time of 25 s and the 5 s that its option's help asks for on top.
GRACE_S = 30
# Of the load, before and after whatever a drill does.
FLOWS = 40
_FLOWS_WITHIN_S = 60

_REAPED = "SELECT count(*) FROM provisioner_jobs WHERE error_code = 'LEASE_EXPIRED'"
_OUTCOMES = ("SELECT j.status, j.error_code, count(*) FROM provisioner_jobs j JOIN workspace_builds b ON b.job_id = j.id "
             "GROUP BY 1, 2 ORDER BY 3 DESC")


class Notes:
    """Tells what goes on and keeps what was wrong."""

    def __init__(self):
        self.wrong = []
        self._began = time.monotonic()

    def step(self, text):
        """Something is done now."""
        print(f"  {time.monotonic() - self._began:6.1f} s  {text}", flush=True)

    def found(self, text):
        """Something was measured or seen."""
        print(f"            - {text}", flush=True)

    def hold(self, holds, promise):
        """`promise` is what was to be; it is wrong unless it holds."""
        if not holds:
            self.wrong.append(promise)
            print(f"            ! {promise}", flush=True)


class Drill:
    """One procedure of an operator.  Subclasses say what it is called, what spoils it, and how it goes."""

    name = ""
    # What --spoil does instead of the right thing.
    spoilt = ""
    # About how long it takes.
    minutes = 1
    kind = suite.Kind()
    uses_engine = False
    # Settings of fault_load that differ from the usual.
    load = {}
    # Builds that succeed unless somebody cancels them, long enough to be under way at any moment.
    template = {"start": {"delay_ms": 800, "log": ["one", "two"]}, "stop": {"delay_ms": 400, "log": ["one"]}}

    def begin(self, world, notes, spoil):
        """Brings the suite up, with the load upon it."""
        notes.step("starting PostgreSQL, nats-server, the services and the load")
        world.bring_up()
        self.prepare(world)
        world.begin_load(**self.load)

    def prepare(self, world):
        """What is to be there before the load begins."""

    def run(self, world, notes, spoil):
        """The procedure itself, under load; `spoil` is whether to do it wrong."""
        raise NotImplementedError

    def judge(self, world, notes):
        """What is to be seen when all is over and the checker has had its say."""


def await_load(world, builds=FLOWS):
    """Waits until so many builds more are acknowledged."""
    wanted = world.count("ack") + builds

    def flows():
        if world.violations():
            raise AssertionError(world.violations()[0])
        return world.count("ack") >= wanted
    suite.wait_for(f"{builds} builds more are acknowledged", flows, _FLOWS_WITHIN_S)


def endings(lines):
    """(code, reason) of each stream's end that its client had not asked for, except the slow watch's, which may be cut."""
    return [(line["code"], line["reason"]) for line in lines
            if line["kind"] == "end" and not line["stopping"] and line["watch"] != "slow"]


def hold_builds(world, notes):
    """No build has failed and none was reaped."""
    rows = world.query(_OUTCOMES)
    notes.found("builds: " + ", ".join(f"{count} {status}{' ' + code if code else ''}" for status, code, count in rows))
    reaped = int(world.query(_REAPED)[0][0])
    notes.hold(reaped == 0, f"{reaped} builds were reaped; none was to be")
    failed = [f"{count} {code or 'without a code'}" for status, code, count in rows if status == "failed"]
    notes.hold(not failed, f"builds failed ({', '.join(failed)}); none was to")


def hold_calls(world, notes):
    """Every call was answered in the end, and what was repeated had met nobody, or an instance about to leave."""
    lines = world.history()
    refused = [f"{line['what']} with {line['code']}" for line in lines if line["kind"] == "refused"]
    notes.hold(not refused, f"calls were refused: {', '.join(refused[:3])}")
    retries = collections.Counter(line["code"] for line in lines if line["kind"] == "retry")
    notes.found(f"{world.count('ack')} builds acknowledged, {len(refused)} calls failed; repeated: "
                f"{', '.join(f'{count} after {code}' for code, count in retries.items()) or 'none'}")
    # gRPC cancels what reaches a listener while it closes.
    unclear = set(retries) - {"UNAVAILABLE", "CANCELLED"}
    notes.hold(not unclear, f"calls ended with {', '.join(sorted(unclear))} before they were repeated")
