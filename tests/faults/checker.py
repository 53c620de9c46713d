"""Judges what clients saw: one validator for each promise of the stream of build events.

The validators know clients' calls and the tables `workspaces` and `workspace_builds`.  They never look at the outbox
or the log, so that they cannot agree with a mistake made there.
"""

import collections

# Statuses after which a build has no other.
FINAL = ("JOB_STATUS_SUCCEEDED", "JOB_STATUS_CANCELED", "JOB_STATUS_FAILED")

# How a stream may end, by code; the reasons are those of watch.proto.  A reader that does not read is cut without one.
_ENDINGS = {
    "UNAVAILABLE": {"DRAINING", "MAX_AGE", "LOG_UNREACHABLE", ""},
    "CANCELLED": {""},
    "DEADLINE_EXCEEDED": {""},
    "RESOURCE_EXHAUSTED": {"FELL_BEHIND", "TOO_MANY_WATCHES", "TOO_MANY_SNAPSHOTS", ""},
    "UNAUTHENTICATED": {"TOKEN_REVOKED", "TOKEN_EXPIRED", "TOKEN_INVALID", "USER_SUSPENDED"},
    "PERMISSION_DENIED": {"ACTION_FORBIDDEN"},
    "OUT_OF_RANGE": {"TOKEN_TOO_OLD"},
    "FAILED_PRECONDITION": {"EPOCH_CHANGED"},
    "INVALID_ARGUMENT": {"TOKEN_INVALID"},
}
# Endings that say a token is no longer good: only of a log that was set back.
_TOKEN_LOST = ("OUT_OF_RANGE", "FAILED_PRECONDITION", "INVALID_ARGUMENT")

# What the tables hold at the end: versions is workspace -> event_version, owners workspace -> owner id, builds
# build -> (workspace, number, status), the status as the events say it.
Truth = collections.namedtuple("Truth", "versions owners builds")


class _Watch:
    """What one watch has seen since its last snapshot."""

    def __init__(self):
        self.position = 0  # of the last event
        self.promised = 0  # nothing at or below it may follow
        self.versions = {}
        self.pending = {}  # a snapshot that is not complete yet
        self.in_snapshot = False
        self.begun = False


class Checker:
    """Takes the history line by line; `violations` holds what was wrong, each with its promise's name first."""

    def __init__(self, member=None, log_may_be_set_back=False):
        """`member` is the user id of the watch named "member", which may see its own workspaces alone."""
        self.violations = []
        self.counts = collections.Counter()
        self.member = member
        self._set_back = log_may_be_set_back
        self._watches = collections.defaultdict(_Watch)
        self._acked = {}
        self._statuses = {}
        self._seen_builds = collections.defaultdict(set)

    def note(self, text):
        """Adds a violation that another has found."""
        self.counts["violations"] += 1
        if len(self.violations) < 50:
            self.violations.append(text)

    def _bad(self, promise, text):
        self.note(f"{promise}: {text}")

    def feed(self, line):
        """Takes the next line of the history, a dict."""
        self.counts[line["kind"]] += 1
        handler = getattr(self, "_on_" + line["kind"], None)
        if handler:
            handler(line)

    def _on_open(self, line):
        watch = self._watches[line["watch"]]
        watch.in_snapshot = bool(line["snapshot"])
        watch.pending = {}
        if watch.in_snapshot and self._set_back:
            # Builds that went back may end otherwise this time, and the snapshot tells of each workspace's latest only.
            self._statuses = {key: status for key, status in self._statuses.items() if key[0] != line["watch"]}

    def _on_item(self, line):
        watch = self._watches[line["watch"]]
        if not watch.in_snapshot:
            self._bad("Unique", f"{line['watch']}: a snapshot's item after its end")
        if line["workspace"] in watch.pending:
            self._bad("Unique", f"{line['watch']}: {line['workspace']} twice in one snapshot")
        self._check_permitted(line)
        watch.pending[line["workspace"]] = line["version"]

    def _on_token(self, line):
        watch = self._watches[line["watch"]]
        if watch.in_snapshot:
            watch.in_snapshot = False
            watch.begun = True
            watch.versions = watch.pending
            watch.position = watch.promised = line["position"]
            return
        if line["position"] < watch.promised:
            self._bad("BookmarkTrue", f"{line['watch']}: token at {line['position']} after {watch.promised}")
        watch.promised = max(watch.promised, line["position"])

    def _on_event(self, line):
        name, watch = line["watch"], self._watches[line["watch"]]
        workspace, version = line["workspace"], line["version"]
        self._check_permitted(line)
        self._check_build(line)
        if watch.in_snapshot:
            # Between the snapshot's pages and its end: continues what the pages said.
            self._check_version(name, watch.pending, workspace, version)
            return
        if line["position"] <= watch.position:
            self._bad("Ordered", f"{name}: position {line['position']} after {watch.position}")
        if line["position"] <= watch.promised:
            self._bad("BookmarkTrue", f"{name}: position {line['position']} after a token at {watch.promised}")
        watch.position = line["position"]
        self._check_version(name, watch.versions, workspace, version)

    def _check_version(self, name, versions, workspace, version):
        last = versions.get(workspace, 0)
        if version <= last:
            self._bad("Unique", f"{name}: {workspace} version {version} after {last}")
        elif version != last + 1:
            self._bad("Gapless", f"{name}: {workspace} version {version} after {last}")
        versions[workspace] = max(last, version)

    def _on_unreadable(self, line):
        # Nobody can tell what it was; that it had a place in the order is all there is to say.
        watch = self._watches[line["watch"]]
        if line["position"] <= max(watch.position, watch.promised) and not watch.in_snapshot:
            self._bad("Ordered", f"{line['watch']}: position {line['position']} after {watch.position}")
        watch.position = line["position"]

    def _check_permitted(self, line):
        if line["watch"] == "member" and line["owner"] != self.member:
            self._bad("OnlyPermitted", f"the member saw {line['workspace']}, which is of {line['owner']}")

    def _check_build(self, line):
        if line["event"] != "BUILD_EVENT_KIND_STATUS_CHANGED":
            return
        self._seen_builds[line["watch"]].add(line["build"])
        key = (line["watch"], line["build"])
        before, status = self._statuses.get(key), line["status"]
        if before in FINAL and not self._set_back:
            self._bad("Ordered", f"{line['watch']}: build {line['build']} is {status} after {before}")
        self._statuses[key] = status

    def _on_end(self, line):
        if line["stopping"]:
            return
        code, reason = line["code"], line["reason"]
        if reason not in _ENDINGS.get(code, ()):
            self._bad("TypedEndings", f"{line['watch']}: ended with {code} '{reason}'")
        if code in _TOKEN_LOST and not self._set_back:
            self._bad("Resumable", f"{line['watch']}: the token is refused with {code} {reason}")

    def _on_ack(self, line):
        known = self._acked.setdefault(line["build"], line)
        if known["request"] != line["request"]:
            self._bad("OnlyCommitted", f"build {line['build']} was the answer to two requests")

    def _on_refused(self, line):
        if line["code"] not in ("FAILED_PRECONDITION", "ALREADY_EXISTS") and not self._set_back:
            self._bad("TypedEndings", f"a call to {line['what']} was refused with {line['code']}")

    def _wanted(self, name, owner):
        return name != "member" or owner == self.member

    def behind(self, truth, slow_too=False):
        """What watches have yet to see of the table: texts, empty when all have seen it.

        The slow one, which reads late on purpose, is asked about only when told so.
        """
        return [f"{name}: {workspace} is at {watch.versions.get(workspace, 0)} of {version}"
                for name, watch in list(self._watches.items()) if slow_too or name != "slow"
                for workspace, version in truth.versions.items()
                if self._wanted(name, truth.owners[workspace]) and watch.versions.get(workspace, 0) < version]

    def finish(self, truth):
        """Compares the end of the history with the tables, once nothing is written any more."""
        for name, watch in self._watches.items():
            for workspace, version in truth.versions.items():
                last = watch.versions.get(workspace, 0)
                if self._wanted(name, truth.owners[workspace]) and last < version:
                    self._bad("Converges", f"{name}: {workspace} is at {last}, the table at {version}")
            for workspace, last in watch.versions.items():
                if last > truth.versions.get(workspace, 0):
                    self._bad("OnlyCommitted", f"{name}: {workspace} reached {last}, the table has "
                                               f"{truth.versions.get(workspace, 0)}")
        for build in set().union(*self._seen_builds.values()) if self._seen_builds else ():
            if build not in truth.builds and not self._set_back:
                self._bad("OnlyCommitted", f"build {build} was seen and is not in the table")
        for build, line in self._acked.items():
            if self._set_back:
                continue
            if build not in truth.builds:
                self._bad("OnlyCommitted", f"build {build} was acknowledged and is not in the table")
            elif truth.builds[build][:2] != (line["workspace"], line["number"]):
                self._bad("OnlyCommitted", f"build {build} was acknowledged as another")
            for name in self._resuming():
                if build not in self._seen_builds[name]:
                    self._bad("Gapless", f"{name}: no event of the acknowledged build {build}")
        self._check_statuses(truth)

    def _resuming(self):
        """Watches that see every event of every workspace for as long as they last."""
        return [name for name in self._watches if name.startswith("all-")]

    def _check_statuses(self, truth):
        for (name, build), status in self._statuses.items():
            known = truth.builds.get(build)
            if known and name in self._resuming() and status != known[2]:
                self._bad("Converges", f"{name}: build {build} is {status}, the table says {known[2]}")
