"""`coderctl watch` as the source of a shell script's events: replays, bounds, a kept token."""

import json
import subprocess
import unittest

from tests.e2e import harness

# The worked example of `coderctl watch --help`, run twice instead of for ever. $1 is the command to watch with.
_CONSUMER = """
cp -f events.token next.token 2>/dev/null
"$@" --token-file next.token --until now -o json > events.json || exit
cat events.json >> handled.json && mv next.token events.token
"""


class WatchTest(harness.SuiteTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.push_echo("quick")
        cls.coderctl.do("create", "dev", "--template", "quick")

    def setUp(self):
        self.wait_for("dev", "succeeded")

    def lines(self, *arguments):
        """The events of a watch that ends by itself."""
        return [json.loads(line) for line in self.coderctl.do("watch", "-o", "json", *arguments).splitlines()]

    def head(self):
        """The last position given out."""
        answer = self.grpcurl().call("coder.api.v1.WatchService/GetBuildStreamStatus", {})
        return int(answer.messages[0]["head"])

    def positions(self, *arguments):
        return [int(event["position"]) for event in self.lines(*arguments)]

    def test_a_replay_ends_at_its_bound(self):
        head = self.head()
        began = ["--from", f"{self._began:%Y-%m-%dT%H:%M:%SZ}"]
        everything = list(range(1, head + 1))
        self.assertEqual(self.positions(*began, "--until", "now")[:head], everything)
        self.assertEqual(self.positions(*began, "--until", str(head)), everything)
        self.assertEqual(self.positions(*began, "--until", "2"), [1, 2])
        self.assertEqual(self.positions(*began, "--until", "2000-01-01T00:00:00Z"), [])
        self.assertEqual(self.positions(*began, "--count", "2"), [1, 2])
        self.assertEqual(self.positions(*began, "--until", str(head), "--transition", "delete"), [])
        done = self.coderctl.run("watch", *began, "--until", "tomorrow")
        self.assertEqual((done.returncode, "2026-03-01T09:00:00Z" in done.stderr), (2, True), done.stderr)

    def test_a_script_handles_every_event_once_over_its_rounds(self):
        folder = self.folder / "consumer"
        folder.mkdir()
        command = self.coderctl.command("watch", "--from", f"{self._began:%Y-%m-%dT%H:%M:%SZ}")

        def round_of_the_script():
            done = subprocess.run(["sh", "-c", _CONSUMER, "consumer", *command], cwd=folder, capture_output=True,
                                  text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
        round_of_the_script()
        self.coderctl.do("stop", "dev")
        self.wait_for("dev", "stop", "cli", "succeeded")
        round_of_the_script()
        round_of_the_script()
        handled = [json.loads(line) for line in (folder / "handled.json").read_text().splitlines()]
        self.assertEqual([int(event["position"]) for event in handled], list(range(1, len(handled) + 1)))
        self.assertGreaterEqual(len(handled), 6)


if __name__ == "__main__":
    unittest.main()
