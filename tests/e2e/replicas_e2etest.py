"""Two instances of coderd-api: neither knows more than the other."""

import unittest

from deploy.local import event_log
from tests.e2e import harness


class ReplicasTest(harness.SuiteTest):
    replicas = {"coderd-api-2": "coderd-api"}
    # Every build here takes only echo's answer.
    _BUILD = ["pending", "running", "succeeded"]

    def test_a_watch_sees_builds_of_the_other_and_goes_on_there(self):
        first, second = self.client("coderd-api"), self.client("coderd-api-2")
        self.push_echo("quick")
        second.do("create", "shared", "--template", "quick")
        self.wait_for("shared", "start", "initiator", "succeeded")
        self.assertEqual(first.read("show", "shared")["id"], second.read("show", "shared")["id"])

        self.end("coderd-api")
        second.do("stop", "shared")  # provisionerd, too, goes on with the instance that is left
        token = self.events.close()
        self.assertIsNotNone(token, self.events.said())
        resumed = second.watch("--from", token)
        self.addCleanup(resumed.close)
        second.do("start", "shared")
        resumed.wait_for(lambda event: event_log.story([event]) == [("start", "cli", "succeeded")], 60, lambda left: None)

        events = self.events.all() + resumed.all()
        expected = [(*build, status) for build in (("start", "initiator"), ("stop", "cli"), ("start", "cli"))
                    for status in self._BUILD]
        self.assertEqual(event_log.faults(events, expected), [])
        self.assert_dense(events)
        self.assertEqual(len(self.events.all()), 3, "the first watch ended with its instance")


if __name__ == "__main__":
    unittest.main()
