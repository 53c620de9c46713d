"""The boards of failpoints that a fault test shares with the services; see libs/failpoint."""

import mmap
import struct

# name, hits, action, hits_to, millis: as failpoint::Slot.
_SLOT = struct.Struct("40sQiiq")
NONE, KILL, HOLD, ON = range(4)

POINTS = {
    "coderd-api": ["pg.before_commit", "pg.after_commit", "api.deliver_pack", "api.in_stream_write",
                   "api.after_acquire", "api.before_reap"],
    "pubsub-relay": ["relay.in_epoch_check", "relay.after_sequence", "relay.in_rewind", "relay.before_answers",
                     "relay.after_answers"],
    "provisionerd": ["provisionerd.before_apply", "provisionerd.in_apply", "provisionerd.after_apply",
                     "provisionerd.before_report", "provisionerd.log_upload"],
    "autostart-scheduler": ["scheduler.before_candidates", "scheduler.after_candidates", "scheduler.before_batch"],
}
# Protections that can be switched off, and the service they are in.
MUTATIONS = {
    "off.drop_old": "coderd-api",
    "off.gap_fill": "coderd-api",
    "off.lease_check": "coderd-api",
    "off.rights_check": "coderd-api",
    "off.fence": "pubsub-relay",
    "off.epoch_check": "pubsub-relay",
}


class Board:
    """One instance's board; the file outlives the instance, and so do its counts."""

    def __init__(self, path, service):
        self.service = service
        self.path = path
        self._names = POINTS[service] + [name for name, where in MUTATIONS.items() if where == service]
        path.write_bytes(b"".join(_SLOT.pack(name.encode(), 0, NONE, 0, 0) for name in self._names))
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def _place(self, name):
        return self._names.index(name) * _SLOT.size

    def hits(self, name):
        return _SLOT.unpack_from(self._map, self._place(name))[1]

    def arm(self, name, action, hits_to=1, millis=0):
        """Has the action happen at the `hits_to`-th hit from now; the action itself is written last."""
        place = self._place(name)
        struct.pack_into("i", self._map, place + 52, hits_to)
        struct.pack_into("q", self._map, place + 56, millis)
        struct.pack_into("i", self._map, place + 48, action)

    def disarm(self, name):
        struct.pack_into("i", self._map, self._place(name) + 48, NONE)

    def is_armed(self, name):
        return _SLOT.unpack_from(self._map, self._place(name))[2] != NONE
