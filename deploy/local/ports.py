"""Loopback ports: chosen once, remembered across down and up."""

import json
import os
import socket

from tools.dev import say

HOST = "127.0.0.1"


def is_free(port):
    """Whether a server could listen on the loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _pick(taken):
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((HOST, 0))
            port = probe.getsockname()[1]
        if port not in taken:
            return port


def remembered(path):
    """The ports remembered in the JSON file `path`, by name."""
    return json.loads(path.read_text()) if path.exists() else {}


def assign(names, path, fixed=None, running=()):
    """Gives every name a free port and remembers the choice in the JSON file `path`.

    A remembered port is kept; one that another program has taken meanwhile is
    replaced, with a note.  Ports of names in `running` are held by their own
    process and kept unseen.  `fixed` (name -> port) are the person's own
    choices: Problem when one is taken.
    """
    known = remembered(path)
    chosen = {}
    for name in names:
        port = (fixed or {}).get(name) or known.get(name)
        if port and name not in running and not is_free(port):
            if (fixed or {}).get(name):
                raise say.Problem(f"port {port}, asked for as {name}, is in use by another program; "
                                  "choose another or leave the choice to ./dev")
            say.note(f"port {port}, used for {name} last time, is taken by another program; choosing another")
            port = None
        chosen[name] = port or _pick(set(chosen.values()) | set(known.values()))
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(chosen, indent=1, sort_keys=True) + "\n")
    os.replace(fresh, path)
    return chosen
