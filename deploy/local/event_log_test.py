"""The demo's reckoning: what counts as missing, doubled or out of order."""

import datetime
import unittest

from deploy.local import demo, event_log

_EXPECTED = [("start", "initiator", "pending"), ("start", "initiator", "running")]


def _event(version, position, status):
    return {"workspace_version": str(version), "position": position, "transition": "BUILD_TRANSITION_START",
            "reason": "BUILD_REASON_INITIATOR", "job_status": f"JOB_STATUS_{status.upper()}"}


class FaultsTest(unittest.TestCase):
    def test_the_whole_story_has_none(self):
        self.assertEqual(event_log.faults([_event(1, 4, "pending"), _event(2, 9, "running")], _EXPECTED), [])

    def test_a_missing_event_is_named(self):
        faults = event_log.faults([_event(1, 4, "pending")], _EXPECTED)
        self.assertEqual(faults, ["missing: [('start', 'initiator', 'running')]"])

    def test_a_doubled_event_shows_in_version_and_position(self):
        faults = event_log.faults([_event(1, 4, "pending"), _event(1, 4, "pending"), _event(2, 5, "running")], _EXPECTED)
        self.assertEqual(len(faults), 3)

    def test_swapped_events_are_not_the_story(self):
        faults = event_log.faults([_event(1, 4, "running"), _event(2, 5, "pending")], _EXPECTED)
        self.assertIn("the order is", faults[0])


class NextMinuteTest(unittest.TestCase):
    def test_it_leaves_time_to_set_the_schedule(self):
        early = datetime.datetime(2026, 3, 1, 8, 59, 49)
        late = datetime.datetime(2026, 3, 1, 8, 59, 50)
        self.assertEqual(demo.next_minute(early), datetime.datetime(2026, 3, 1, 9, 0))
        self.assertEqual(demo.next_minute(late), datetime.datetime(2026, 3, 1, 9, 1))


if __name__ == "__main__":
    unittest.main()
