"""Rounds that once were red, to be played again: each found something wrong, which was put right."""

import collections

# `./dev faults --seed SEED --rounds ROUNDS --only FAULT` is the round again.
Regression = collections.namedtuple("Regression", "fault seed rounds found")

REGRESSIONS = [
    Regression("outage", 21, 1, "provisionerd killed healthy engines in an outage, whose jobs were then reaped"),
    Regression("kill-all", 502, 6, "clients of many channels reconnected one in five seconds after all servers had been away"),
    Regression("outbox-poison", 31, 1, "an outbox row with an id far ahead kept every later event from being sequenced"),
    Regression("provisionerd-frozen", 601, 4, "the late state of a build that had a successor could not be resolved by coderctl"),
    Regression("restore-stream-lost", 711, 6, "a snapshot left out a page of workspaces when the database went away right after it was read"),
]
