"""What the admin ports show of the services at work, and that no page shows a secret."""

import json
import unittest
import urllib.error
import urllib.parse
import urllib.request

from deploy.local import ports, services
from tests.e2e import harness

_OWN_PAGES = {
    "coderd-api": ["channelz", "database", "events", "jobs", "watches"],
    "pubsub-relay": ["channelz", "relay"],
    "provisionerd": ["channelz", "jobs"],
    "autostart-scheduler": ["channelz", "ticks"],
}


class DebugTest(harness.SuiteTest):
    def fetch(self, name, path, method="GET"):
        """What the service's admin port answers."""
        url = f"http://{ports.HOST}:{self.local.ports[f'{name} admin']}{path}"
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as response:
            return response.read().decode()

    def page(self, name, page):
        """The facts of a debug page."""
        return json.loads(self.fetch(name, f"/debug/{page}"))

    def wait_for_page(self, name, page, is_so):
        """The page once it tells what is waited for."""
        def look():
            facts = self.page(name, page)
            return facts if is_so(facts) else None
        return harness.wait_until(f"{name} {page}", look)

    def secrets(self):
        """Everything the suite was given that may be shown nowhere."""
        data, url = self.local.data, self.wiring
        found = [path.read_text().split()[-1]
                 for path in (data.keyring, data.service_token, data.provisioner_key, data.api_token)]
        for address in (url.postgres.url("coder_api"), url.postgres.url("coder_relay"), url.nats.url("coderd-api"),
                        url.nats.url("pubsub-relay")):
            found.append(urllib.parse.urlsplit(address).password)
        return found

    def test_each_service_lists_its_pages_and_none_shows_a_secret(self):
        canaries = self.secrets()
        self.assertTrue(all(len(canary) > 10 for canary in canaries), "a canary too short to be found")
        for name in services.NAMES:
            with self.subTest(service=name):
                listed = [line.split()[0] for line in self.fetch(name, "/debug").splitlines()]
                self.assertEqual(sorted(listed), sorted(f"/debug/{page}" for page in
                                                        ["config", "log-level", *_OWN_PAGES[name]]))
                for path in [*listed, "/config", "/metrics", "/version", "/readyz"]:
                    text = self.fetch(name, path)
                    self.assertTrue(text, path)
                    for canary in canaries:
                        self.assertNotIn(canary, text, path)

    def test_the_configuration_tells_where_each_value_came_from(self):
        options = {option["name"]: option for option in self.page("coderd-api", "config")}
        self.assertEqual(options["experiments"],
                         {"name": "experiments", "value": "workspace-build-updates", "origin": "flag"})
        self.assertEqual(options["postgres-url"], {"name": "postgres-url", "value": "***", "origin": "environment"})
        self.assertEqual(options["lease-duration"]["origin"], "default")

    def test_the_log_level_changes_while_the_service_runs(self):
        pid = self.pid("pubsub-relay")
        self.assertEqual(self.fetch("pubsub-relay", "/debug/log-level"), "info\n")
        self.assertEqual(self.fetch("pubsub-relay", "/debug/log-level?level=warn", "PUT"), "warn\n")
        self.assertEqual(self.fetch("pubsub-relay", "/debug/log-level"), "warn\n")
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.fetch("pubsub-relay", "/debug/log-level?level=loud", "PUT")
        self.addCleanup(refused.exception.close)
        self.assertEqual(refused.exception.code, 400)
        self.assertEqual(self.fetch("pubsub-relay", "/debug/log-level?level=info", "PUT"), "info\n")
        self.assertEqual(self.pid("pubsub-relay"), pid)

    def test_a_build_is_seen_by_each_service_while_it_runs_and_after(self):
        self.push_echo("slow", start={"delay_ms": 600_000})
        self.coderctl.do("create", "dev", "--template", "slow", "--no-wait")
        jobs = self.wait_for_page("provisionerd", "jobs", lambda facts: facts["running"])
        self.assertTrue(jobs["connected"])
        self.assertEqual(jobs["slots"], jobs["waiting"] + 1)
        self.assertEqual([(job["provisioner"], job["work"]) for job in jobs["running"]], [("echo", "start")])
        self.assertGreater(jobs["running"][0]["age_seconds"], 0)
        counted = self.wait_for_page("coderd-api", "jobs", lambda facts: any(
            job["status"] == "running" and job["jobs"] == 1 for job in facts["unfinished"]))
        self.assertEqual([waiting["slots"] for waiting in counted["waiting"]], [jobs["slots"] - 1])
        self.assertEqual(counted["acquire_streams"], 1)

        self.wait_for("dev", "running")
        position = self.events.all()[-1]["position"]
        events = self.page("coderd-api", "events")
        self.assertGreaterEqual(events["ring"]["head"], position)
        self.assertGreater(events["ring"]["bytes"], 0)
        watches = self.page("coderd-api", "watches")
        self.assertEqual((watches["watches"], watches["by_state"]["following"]), (1, 1))
        self.assertRegex(watches["slowest"][0]["caller"], r"^user:[0-9a-f-]{36}$")
        relay = self.wait_for_page("pubsub-relay", "relay", lambda facts: facts["confirmed"] >= position)
        self.assertEqual((relay["stream"]["connected"], relay["stream"]["takes_events"]), (True, True))
        self.assertEqual(relay["epoch"], events["ring"]["epoch"])
        self.assertGreater(self.page("coderd-api", "database")["acquired"], 0)
        ticks = self.wait_for_page("autostart-scheduler", "ticks", lambda facts: facts.get("latest_tick"))
        self.assertTrue(ticks["latest_tick"]["succeeded"], ticks)
        self.assertGreater(ticks["next_tick"], ticks["latest_tick"]["tick"])


if __name__ == "__main__":
    unittest.main()
