"""Very many watchers: such that do not read, and such that come and go all at once."""

import json
import subprocess
import threading
import time

from tests.faults import world as suite
from tools.dev import places


class Crowd:
    """A process of very many watches; see crowd.cc."""

    def __init__(self, world, watches, connections, stalled):
        self._world = world
        settings = {"addresses": ",".join(world.local.api_address(name) for name in world.apis()),
                    "token": world.local.data.api_token.read_text().strip(), "watches": watches,
                    "connections": connections, "stalled": int(stalled)}
        self._process = subprocess.Popen(
            [str(places.built() / "tests/faults/fault_crowd"), *(f"{name}={value}" for name, value in settings.items())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        try:
            suite.wait_for("the crowd watches", lambda: self._answer("ready"), 240)
        except AssertionError:
            self._process.kill()
            raise
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=10)

    def _read(self):
        for text in self._process.stdout:
            line = json.loads(text)
            if "problem" in line:
                self._world.blame(line["problem"])
            else:
                self._lines.append(line)

    def _answer(self, kind):
        if self._process.poll() is not None:
            raise AssertionError(f"the crowd ended with {self._process.returncode}")
        return [self._lines.pop()] if self._lines and kind in self._lines[-1] else None

    def tell(self, word):
        """One of the words of crowd.cc."""
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def converge(self, what, limit_s):
        """Waits until every watch has seen what is in the tables now; seconds it took."""
        truth = self._world.truth()
        began = time.monotonic()

        def caught_up():
            self.tell("least")
            least = suite.wait_for("the crowd answers", lambda: self._answer("least"), limit_s)[0]["least"]
            return all(least.get(workspace, 0) >= version for workspace, version in truth.versions.items())
        suite.wait_for(f"Converges: {what}", caught_up, limit_s)
        return time.monotonic() - began


class Stalled:
    """1,000 watchers do not read, beside healthy ones; then they do, and have missed nothing."""

    name = "stalled-1000"
    wanted = 3
    crowded = True

    def run(self, world, random):
        """One round; returns what was done."""
        with Crowd(world, 1000, connections=10, stalled=True) as crowd:
            stalls_s = random.uniform(5, 20)
            time.sleep(stalls_s)
            took_s = world.converge("beside 1,000 watchers that do not read")
            crowd.tell("read")
            crowd_s = crowd.converge("1,000 watchers that read again", 60)
        return f"for {stalls_s:.1f} s; the healthy caught up after {took_s:.2f} s, the stalled {crowd_s:.2f} s after they read"


class Resuming:
    """10,000 watchers lose their streams at once and resume them."""

    name = "resuming-10000"
    wanted = 3
    crowded = True
    calm = True

    def run(self, world, random):
        """One round; returns what was done."""
        with Crowd(world, 10_000, connections=110, stalled=False) as crowd:
            times_s = []
            for _ in range(3):
                time.sleep(random.uniform(0.5, 2))
                crowd.tell("drop")
                times_s.append(crowd.converge("10,000 watchers resume", 60))
        return "three times; all caught up after " + ", ".join(f"{took_s:.1f} s" for took_s in times_s)


FAULTS = [Stalled(), Resuming()]
