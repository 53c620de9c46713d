"""Provisioners leave while they build."""

import signal
import time

from tests.drills import drill
from tests.faults import world as suite

# Longer than it takes to find its daemon, shorter than three quarters of the drain time.
_ENGINE_S = 8
_MACHINE = """
resource "terraform_data" "machine" {
  provisioner "local-exec" {
    command = "echo working; exec sleep %d"
  }
}
""" % _ENGINE_S
_GAVE_BACK = "gave a job back while draining"
_RUNNING = ("SELECT d.name, count(*) FROM provisioner_jobs j JOIN provisioner_daemons d ON d.id = j.worker_id "
            "WHERE j.status IN ('running', 'canceling') GROUP BY 1")
_OF_ENGINE = ("SELECT j.status, coalesce(d.name, '') FROM provisioner_jobs j JOIN workspace_builds b ON b.job_id = j.id "
              "JOIN workspaces w ON w.id = b.workspace_id LEFT JOIN provisioner_daemons d ON d.id = j.worker_id "
              "WHERE w.name = 'machine'")


class ScaleDown(drill.Drill):
    """provisionerd leaves during running builds, one of them of the real engine, and each is finished or given back."""

    name = "provisioner-scale-down"
    spoilt = "a drain time of one second, which no build fits into"
    minutes = 2
    kind = suite.Kind(pairs=True)
    uses_engine = True
    # Calmer, so that fewer of the long builds are canceled.
    load = {"pause_ms": 500}
    template = {"start": {"delay_ms": 3000, "log": ["one", "two", "three"]}, "stop": {"delay_ms": 2000, "log": ["one"]}}

    def begin(self, world, notes, spoil):
        """With the drain time that is the default, unless spoilt."""
        for name in ("provisionerd", "provisionerd-2"):
            world.flags[name] = ["--slots=4", f"--drain-timeout={1 if spoil else 25}s"]
        super().begin(world, notes, spoil)

    def prepare(self, world):
        """A template of the real engine."""
        folder = world.folder / "templates" / "machine"
        folder.mkdir(parents=True)
        (folder / "main.tf").write_text(_MACHINE)
        world.run_coderctl("templates", "push", str(folder), "--name", "machine")

    def run(self, world, notes, spoil):
        """The daemon without the engine leaves and comes back; the one with it leaves for good."""
        drill.await_load(world, drill.FLOWS // 2)
        world.run_coderctl("create", "machine", "--template", "machine", "--no-wait")
        suite.wait_for("the engine's build runs", lambda: world.query(_OF_ENGINE)[0][0] == "running", suite.CONVERGES_S)
        leaves = world.query(_OF_ENGINE)[0][1]
        notes.step(f"the real engine builds at {leaves}")
        self._leave(world, notes, leaves)
        notes.hold(world.query(_OF_ENGINE)[0][0] == "succeeded",
                   f"the engine's build was to succeed and is {world.query(_OF_ENGINE)[0][0]}")
        world.restart(leaves)
        drill.await_load(world, drill.FLOWS // 2)
        stays = leaves
        leaves = next(name for name in ("provisionerd", "provisionerd-2") if name != stays)
        self._leave(world, notes, leaves)
        world.dismiss(leaves)
        notes.step(f"{stays} alone goes on")
        drill.await_load(world)

    def _leave(self, world, notes, name):
        def in_hand():
            return int(dict(world.query(_RUNNING)).get(name, "0"))
        running = suite.wait_for(f"{name} has builds in hand", in_hand, suite.CONVERGES_S)
        said = self._gave_back(world, name)
        began = time.monotonic()
        status = world.drain(name, drill.GRACE_S, signal.SIGTERM)
        notes.step(f"{name} left {time.monotonic() - began:.1f} s after SIGTERM with {running} builds in hand, "
                   f"{self._gave_back(world, name) - said} given back")
        notes.hold(status == 0, f"{name} was to leave with status 0 and left with {status}")
        notes.hold(in_hand() == 0, f"{name} has left and {in_hand()} builds are still its own")

    def _gave_back(self, world, name):
        return world.local.processes.log_path(name).read_text(errors="replace").count(_GAVE_BACK)

    def judge(self, world, notes):
        """No build paid for it."""
        drill.hold_calls(world, notes)
        drill.hold_builds(world, notes)


DRILLS = [ScaleDown()]
