"""Watches whether the engine really runs: as a child process of provisionerd."""

import os
import pathlib
import threading


def _parent_of(pid):
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return int(text[text.rindex(")") + 2:].split()[1])


def _is_descendant(pid, ancestor):
    while pid > 1:
        if pid == ancestor:
            return True
        pid = _parent_of(pid)
    return False


class EngineSighting:
    """Looks at the process table several times a second and keeps the engine commands it saw."""

    def __init__(self, engine, daemon_pid):
        self._engine = os.path.realpath(engine)
        self._daemon_pid = daemon_pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        # The first argument (init, plan, apply, ...) of every engine process seen.
        self.commands = set()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _watch(self):
        while not self._stop.wait(0.1):
            for name in os.listdir("/proc"):
                if name.isdigit():
                    self._look_at(int(name))

    def _look_at(self, pid):
        try:
            if os.readlink(f"/proc/{pid}/exe") != self._engine or not _is_descendant(pid, self._daemon_pid):
                return
            arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return  # it ended meanwhile
        words = [argument.decode(errors="replace") for argument in arguments[1:] if not argument.startswith(b"-")]
        if words and words[0]:
            self.commands.add(words[0])
