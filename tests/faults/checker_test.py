"""Each validator against a history that breaks its promise, made by hand."""

import unittest

from tests.faults import checker

_W, _V = "ws-1", "ws-2"


def _open(watch="all-0", snapshot=0):
    return {"kind": "open", "watch": watch, "snapshot": snapshot}


def _token(position, watch="all-0"):
    return {"kind": "token", "watch": watch, "position": position, "epoch": 1}


def _event(position, version, watch="all-0", workspace=_W, owner="me", build="b1", status="JOB_STATUS_PENDING"):
    return {"kind": "event", "watch": watch, "position": position, "workspace": workspace, "version": version,
            "owner": owner, "build": build, "number": 1, "event": "BUILD_EVENT_KIND_STATUS_CHANGED", "status": status}


def _item(version, watch="all-0", workspace=_W, owner="me"):
    return dict(_event(0, version, watch, workspace, owner), kind="item")


def _end(code, reason="", watch="all-0"):
    return {"kind": "end", "watch": watch, "code": code, "reason": reason, "stopping": 0}


def _ack(build="b1", request="r1", workspace=_W, number=1):
    return {"kind": "ack", "build": build, "request": request, "workspace": workspace, "number": number}


_BEGIN = [_open(snapshot=1), _token(0)]
_GOOD = _BEGIN + [_ack(), _event(1, 1), _token(1), _event(2, 2, status="JOB_STATUS_SUCCEEDED"), _token(2)]
_TRUTH = checker.Truth({_W: 2}, {_W: "me"}, {"b1": (_W, 1, "JOB_STATUS_SUCCEEDED")})


class CheckerTest(unittest.TestCase):

    def _promises(self, history, truth=None, **options):
        """The names of the promises that the history breaks."""
        judge = checker.Checker(member="me", **options)
        for line in history:
            judge.feed(line)
        if truth:
            judge.finish(truth)
        return {violation.split(":")[0] for violation in judge.violations}

    def test_a_good_history_breaks_nothing(self):
        self.assertEqual(self._promises(_GOOD, _TRUTH), set())

    def test_a_resume_goes_on_where_it_was(self):
        resumed = _GOOD[:-2] + [_end("UNAVAILABLE", "DRAINING"), _open()] + _GOOD[-2:]
        self.assertEqual(self._promises(resumed, _TRUTH), set())

    def test_ordered_positions(self):
        self.assertIn("Ordered", self._promises(_BEGIN + [_event(2, 1), _event(1, 1, workspace=_V)]))

    def test_ordered_nothing_after_a_final_status(self):
        self.assertEqual(self._promises(_GOOD + [_event(3, 3, status="JOB_STATUS_SUCCEEDED")]), {"Ordered"})

    def test_unique_across_a_resume(self):
        self.assertIn("Unique", self._promises(_BEGIN + [_event(1, 1), _open(), _event(2, 1)]))

    def test_unique_after_a_snapshot(self):
        self.assertEqual(self._promises([_open(snapshot=1), _item(4), _token(9), _event(10, 4)]), {"Unique"})

    def test_unique_in_a_snapshot(self):
        self.assertEqual(self._promises([_open(snapshot=1), _item(4), _item(4)]), {"Unique"})

    def test_gapless_versions(self):
        self.assertEqual(self._promises(_BEGIN + [_event(1, 1), _event(2, 3)]), {"Gapless"})

    def test_gapless_after_a_snapshot(self):
        self.assertEqual(self._promises([_open(snapshot=1), _item(4), _token(9), _event(10, 6)]), {"Gapless"})

    def test_gapless_acknowledged_calls(self):
        truth = checker.Truth({}, {}, {"b1": (_W, 1, "JOB_STATUS_PENDING")})
        self.assertEqual(self._promises(_BEGIN + [_ack()], truth), {"Gapless"})

    def test_only_committed_versions(self):
        truth = _TRUTH._replace(versions={_W: 1})
        self.assertEqual(self._promises(_GOOD, truth), {"OnlyCommitted"})

    def test_only_committed_builds(self):
        truth = _TRUTH._replace(builds={})
        self.assertEqual(self._promises(_GOOD, truth), {"OnlyCommitted"})

    def test_only_committed_one_build_for_one_request(self):
        self.assertEqual(self._promises(_BEGIN + [_ack(), _ack(request="r2")]), {"OnlyCommitted"})

    def test_only_permitted(self):
        begin = [_open("member", 1), _token(0, "member")]
        self.assertEqual(self._promises(begin + [_event(1, 1, "member", owner="you")]), {"OnlyPermitted"})
        self.assertEqual(self._promises([_open("member", 1), _item(1, "member", owner="you")]), {"OnlyPermitted"})

    def test_resumable(self):
        self.assertEqual(self._promises(_BEGIN + [_end("OUT_OF_RANGE", "TOKEN_TOO_OLD")]), {"Resumable"})

    def test_a_log_that_was_set_back_may_refuse_tokens(self):
        history = _BEGIN + [_end("FAILED_PRECONDITION", "EPOCH_CHANGED")]
        self.assertEqual(self._promises(history), {"Resumable"})
        self.assertEqual(self._promises(history, log_may_be_set_back=True), set())

    def test_a_log_that_was_set_back_lets_builds_end_otherwise(self):
        history = _GOOD + [_end("FAILED_PRECONDITION", "EPOCH_CHANGED")]
        again = history + [_open(snapshot=1), _item(2), _token(2)]
        truth = _TRUTH._replace(builds={"b1": (_W, 1, "JOB_STATUS_CANCELED")})
        self.assertEqual(self._promises(history, truth, log_may_be_set_back=True), {"Converges"})
        self.assertEqual(self._promises(again, truth, log_may_be_set_back=True), set())

    def test_bookmark_true(self):
        self.assertEqual(self._promises(_BEGIN + [_token(5), _event(5, 1)]), {"BookmarkTrue"})
        self.assertEqual(self._promises(_BEGIN + [_token(5), _token(4)]), {"BookmarkTrue"})

    def test_typed_endings(self):
        self.assertEqual(self._promises(_BEGIN + [_end("INTERNAL")]), {"TypedEndings"})
        self.assertEqual(self._promises(_BEGIN + [_end("OK")]), {"TypedEndings"})
        self.assertEqual(self._promises([{"kind": "refused", "what": "build", "code": "INTERNAL"}]), {"TypedEndings"})

    def test_converges_to_the_table(self):
        truth = _TRUTH._replace(versions={_W: 3})
        self.assertEqual(self._promises(_GOOD, truth), {"Converges"})
        truth = _TRUTH._replace(builds={"b1": (_W, 1, "JOB_STATUS_FAILED")})
        self.assertEqual(self._promises(_GOOD, truth), {"Converges"})

    def test_behind_names_who_has_yet_to_see_what(self):
        judge = checker.Checker(member="me")
        for line in _GOOD:
            judge.feed(line)
        self.assertEqual(judge.behind(_TRUTH), [])
        self.assertEqual(judge.behind(_TRUTH._replace(versions={_W: 3})), ["all-0: ws-1 is at 2 of 3"])


if __name__ == "__main__":
    unittest.main()
