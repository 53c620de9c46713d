"""The database goes back to a backup, with a stream that knows more, less or nothing."""

import os
import re
import shutil
import subprocess
import time

from deploy.local import event_log, nats, ports, postgres, services
from tests.drills import drill, era
from tests.faults import leases, tails, world as suite
from tools.dev import places

_SCRIPTS = places.ROOT / "deploy/postgres"
_CURSOR = "SELECT epoch, head FROM relay_cursor"
_EPOCH_STEP = "suite new-epoch\n"
_EVENT_WITHIN_S = 20
# The slow watch may be told later, the one of snapshots begins anew at once.
_RESUMING = {"all-0", "all-1", "all-2", "member"}


class BackupRestore(drill.Drill):
    """PostgreSQL is backed up and restored with the scripts of deploy/postgres, beside a stream that is ahead, behind or lost."""

    name = "backup-restore"
    spoilt = "restore.sh without its new epoch"
    minutes = 2
    kind = suite.Kind(relays=2, sets_back=True)
    template = {"start": {"delay_ms": 60, "log": ["one", "two"]}, "stop": {"delay_ms": 30, "log": ["one"]}}

    def run(self, world, notes, spoil):
        """Three times, each with another stream."""
        self._script = _SCRIPTS / "restore.sh"
        if spoil:
            text = self._script.read_text()
            assert _EPOCH_STEP in text
            self._script = world.folder / "restore.sh"
            self._script.write_text(text.replace(_EPOCH_STEP, ""))
            self._script.chmod(0o755)
        for stream in ("ahead", "behind", "lost"):
            self._round(world, notes, stream)

    def _round(self, world, notes, stream):
        drill.await_load(world)
        old_token = self._token(world)
        kept_stream = world.folder / "nats-kept"
        if stream == "behind":
            tails.copy_store(world, kept_stream)
            drill.await_load(world)
        backup = world.folder / f"{stream}.dump"
        began = time.monotonic()
        self._run_script(world, _SCRIPTS / "backup.sh", postgres.OWNER, backup)
        notes.step(f"backup.sh took {time.monotonic() - began:.1f} s under load, {backup.stat().st_size // 1024} KiB")
        drill.await_load(world)
        if stream == "behind":
            tails.put_store(world, kept_stream)
        if stream == "lost":
            world.kill("nats")
            shutil.rmtree(world.local.data.path / nats.NAME)
        epoch, head = (int(value) for value in world.query(_CURSOR)[0])
        before = len(world.history())
        began = time.monotonic()
        self._run_script(world, self._script, "postgres", backup)
        self._restored = time.monotonic()
        took_s = self._restored - began
        if stream != "ahead":
            world.start_server(nats.NAME)
        back_to = int(world.query(_CURSOR)[0][1])
        notes.step(f"restore.sh took {took_s:.1f} s; the stream is {stream}; from position {head} of epoch {epoch} back to {back_to}")
        self._judge_round(world, notes, old_token, epoch, before)

    def _judge_round(self, world, notes, old_token, epoch, before):
        def told():
            return {line["watch"] for line in world.history(before) if line["kind"] == "end" and line["reason"] == "EPOCH_CHANGED"}
        suite.wait_for("every watch that resumes is told of a new epoch", lambda: told() >= _RESUMING, suite.CONVERGES_S)
        told_s = time.monotonic() - self._restored
        world.converge("after the restore")
        self.epoch = int(world.query(_CURSOR)[0][0])
        notes.found(f"epoch {self.epoch}; EPOCH_CHANGED has come to every watch that resumes {told_s:.1f} s after the restore")
        notes.hold(self.epoch > epoch, f"a new epoch was to begin after {epoch}")
        self._show_old_token(world, notes, old_token)
        # Late results of builds that are history no more.
        leases.dismiss_late_states(world)
        self._since = len(world.history())
        drill.await_load(world)
        asked = [line for line in world.history(self._since) if line["kind"] == "ack"]
        world.converge("builds after the restore")
        self._judge_era(world, notes, asked, is_over=False)
        self._resume(world, notes)

    def _judge_era(self, world, notes, asked, is_over):
        lines = world.history()
        truth = world.truth()
        for wrong in era.wrongs(lines, self.epoch, asked, truth, world.checker.member, is_over)[:5]:
            notes.hold(False, wrong)

    def _show_old_token(self, world, notes, token):
        done = subprocess.run(world.coderctl("watch", "-o", "json", "--from", token, "--until", "now"), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=_EVENT_WITHIN_S)
        notes.found("a watch from a token of before says: " + " / ".join(line.strip() for line in done.stderr.splitlines()))
        bounds = dict(re.findall(r"\b(floor|head)=(\d+)", done.stderr))
        notes.hold(done.returncode == 5 and "EPOCH_CHANGED" in done.stderr and set(bounds) == {"floor", "head"},
                   f"a token of before was to be refused with EPOCH_CHANGED, naming floor and head; it ended with {done.returncode}")

    def _resume(self, world, notes):
        """A watch ends, and its token, taken in the new epoch, goes on without a gap."""
        token = self._token(world)
        position = self._last
        log = event_log.EventLog(world.coderctl("watch", "-o", "json", "--from", token), show=False)
        log.wait_for(lambda event: event["position"] > position + 10, _EVENT_WITHIN_S, lambda left: None)
        log.close()
        positions = [event["position"] for event in log.all()]
        notes.hold(positions == list(range(position + 1, position + 1 + len(positions))),
                   f"a token of the new epoch was to go on at {position + 1} without a gap, and went on {positions[:5]}")
        notes.found(f"a token of the new epoch goes on after position {position} with {len(positions)} events")

    def _token(self, world):
        log = event_log.EventLog(world.coderctl("watch", "-o", "json"), show=False)
        log.wait_for(lambda event: True, _EVENT_WITHIN_S, lambda left: None)
        token = log.close()
        if not token:
            raise AssertionError(f"a watch told no resume token: {log.said()}")
        self._last = log.all()[-1]["position"]
        return token

    def _run_script(self, world, script, role, backup):
        environment = dict(os.environ, PGHOST=ports.HOST, PGPORT=str(world.local.ports[postgres.NAME]), PGUSER=role,
                           PGPASSWORD=world.local.data.secret(role), CODERD_API=str(services.program("coderd-api")),
                           PATH=f"{postgres.programs_dir()}:{os.environ['PATH']}")
        done = subprocess.run([str(script), str(backup)], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120)
        if done.returncode != 0:
            raise AssertionError(f"{script.name} ended with {done.returncode}: {done.stderr[-500:]}")

    def judge(self, world, notes):
        """The last epoch, to its end."""
        asked = [line for line in world.history(self._since) if line["kind"] == "ack"]
        self._judge_era(world, notes, asked, is_over=True)
        notes.found(f"{world.count('ack')} builds acknowledged, {world.count('retry')} calls repeated")


DRILLS = [BackupRestore()]
