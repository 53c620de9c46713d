"""What ./dev tells the person at the terminal: progress on stderr, problems as one sentence."""

import sys


class Problem(Exception):
    """A failure the person can act on; its text is shown alone, without a traceback."""


def step(text):
    """Announces the piece of work that starts now."""
    print(f"==> {text}", file=sys.stderr, flush=True)


def note(text):
    """Adds a line to the step that runs."""
    print(f"    {text}", file=sys.stderr, flush=True)
