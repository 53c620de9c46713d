"""`coderctl top` and `coderctl support bundle`: what an operator, and whoever has no rights, gets to see."""

import json
import signal
import subprocess
import tarfile
import threading
import unittest

from deploy.local import ports, services
from tests.e2e import harness

_CANARY = "canary-hunter2-in-a-log"


class SupportTest(harness.SuiteTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.push_echo("lasting", start={"delay_ms": 600_000})
        cls.push_echo("broken", start={"error": "no disk left", "log": [
            "line one", f"connecting with password={_CANARY}", "line three"]})
        cls.push_echo("quick")
        cls.coderctl.do("create", "busy", "--template", "lasting", "--no-wait")
        cls.addClassCleanup(cls.coderctl.run, "cancel", "busy")
        password = {"CODER_PASSWORD": "correct horse"}
        cls.coderctl.do("users", "create", "bea", "--email", "bea@example.com", environment=password)
        cls.bea = cls.person("bea")
        cls.bea.do("login", "--email", "bea@example.com", environment=password)

    def setUp(self):
        self.wait_for("busy", "running")

    def admin(self, name):
        """Where the service's admin port is."""
        return f"{ports.HOST}:{self.local.ports[f'{name} admin']}"

    def test_one_view_tells_builds_queue_provisioners_and_stream(self):
        view = json.loads(self.coderctl.do("top", "--once", "-o", "json"))
        self.assertEqual((view["builds"]["running"], view["builds"]["pending"]), (1, 0))
        build = view["builds"]["list"][0]
        self.assertEqual((build["workspace"], build["transition"], build["status"]), ("admin/busy", "start", "running"))
        self.assertEqual(build["worker"], "provisionerd")
        self.assertIn({"provisioner": "echo", "type": "build", "status": "running", "jobs": 1}, view["queue"])
        self.assertEqual((view["provisioners"]["busy"], view["provisioners"]["stale"]), (1, 0))
        self.assertGreaterEqual(view["stream"]["head"], 2)
        self.assertEqual(view["missing"], {})
        text = self.coderctl.do("top", "--once")
        self.assertIn("admin/busy", text)
        self.assertNotIn("\x1b", text)

    def test_who_has_no_rights_sees_their_own_builds_and_what_is_not_shown(self):
        view = json.loads(self.bea.do("top", "--once", "-o", "json"))
        self.assertEqual((view["builds"]["running"], view["builds"]["list"]), (0, []))
        self.assertEqual(sorted(view["missing"]), ["provisioners", "queue"])
        self.assertIn("head", view["stream"])
        self.assertIn("PERMISSION_DENIED", view["missing"]["queue"])
        self.assertIn("not shown: PERMISSION_DENIED", self.bea.do("top", "--once"))

    def test_the_live_view_goes_on_with_the_events_until_an_interrupt(self):
        top = subprocess.Popen(self.coderctl.command("top", "-o", "json", "--interval", "0.5"), stdout=subprocess.PIPE,
                               text=True, start_new_session=True)
        self.addCleanup(top.stdout.close)
        self.addCleanup(top.wait)
        guard = threading.Timer(60, top.kill)
        guard.start()
        self.addCleanup(guard.cancel)
        seen = json.loads(top.stdout.readline())
        self.assertEqual(seen["missing"], {})
        number = 0
        while seen["events_seen"] == 0:
            # The watch may have begun after the events of the build before.
            number += 1
            self.coderctl.do("create", f"live-{number}", "--template", "quick")
            seen = json.loads(top.stdout.readline())
        self.assertIsNone(top.poll())
        top.send_signal(signal.SIGINT)
        top.stdout.read()
        self.assertEqual(top.wait(), 0)

    def bundle(self, client, *arguments):
        """The files of a bundle by name, and its manifest."""
        path = self.folder / f"{self.id()}.tar.gz"
        done = client.run("support", "bundle", "--output", str(path), *arguments)
        self.assertEqual((done.returncode, done.stdout), (0, f"{path}\n"), done.stderr)
        self.assertTrue(done.stderr.startswith("the bundle will hold:\n"), done.stderr)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        with tarfile.open(path) as packed:
            files = {member.name: packed.extractfile(member).read().decode() for member in packed.getmembers()}
        return files, json.loads(files["manifest.json"])

    def test_a_bundle_holds_what_helps_and_no_secret(self):
        self.assertNotEqual(self.coderctl.run("create", "doomed", "--template", "broken").returncode, 0)
        admin = [argument for name in services.NAMES for argument in ("--admin", self.admin(name))]
        files, manifest = self.bundle(self.coderctl, *admin, "--admin", "127.0.0.1:1", "--log-lines", "50")
        self.assertEqual([missing["name"] for missing in manifest["not_read"]], ["admin/127_0_0_1_1/version.txt"])
        self.assertIn("Connection refused", manifest["not_read"][0]["why"])
        self.assertEqual({entry["name"] for entry in manifest["files"]} | {"manifest.json"}, set(files))
        self.assertTrue(all(len(files[entry["name"]].encode()) == entry["bytes"] for entry in manifest["files"]))

        self.assertEqual(json.loads(files["health.json"])["coder.api.v1.WatchService"], "SERVING")
        self.assertIn("workspace-build-updates", files["experiments.json"])
        self.assertGreater(int(json.loads(files["stream.json"])["head"]), 0)
        organization = json.loads(files["organizations.json"])["organizations"][0]["name"]
        daemons = json.loads(files[f"organizations/{organization}/provisioners.json"])["daemons"]
        self.assertEqual([daemon["name"] for daemon in daemons], ["provisionerd"])
        self.assertIn("JOB_STATUS_RUNNING", files[f"organizations/{organization}/queue.json"])
        logs = [text for name, text in files.items() if name.startswith("failed/") and name.endswith(".log")]
        self.assertTrue(any("line one" in log and "line three" in log and "password=***" in log for log in logs), logs)
        for name in services.NAMES:
            folder = f"admin/{self.admin(name).replace('.', '_').replace(':', '_')}"
            self.assertIn("coderd_build_info", files[f"{folder}/metrics.txt"])
            self.assertIn('"origin"', files[f"{folder}/debug_config.txt"])
            self.assertIn("channels", files[f"{folder}/debug_channelz.txt"])

        data = self.local.data
        canaries = [_CANARY, *(path.read_text().split()[-1] for path in (
            data.keyring, data.service_token, data.provisioner_key, data.api_token))]
        for name, text in files.items():
            for canary in canaries:
                self.assertNotIn(canary, text, name)

    def test_a_bundle_of_somebody_without_rights_says_what_is_missing(self):
        files, manifest = self.bundle(self.bea)
        self.assertIn("deployment.json", files)
        why = {missing["name"]: missing["why"] for missing in manifest["not_read"]}
        refused = sorted(name.split("/")[-1] for name, cause in why.items() if cause.startswith("PERMISSION_DENIED"))
        self.assertEqual(refused, ["failed jobs", "provisioners.json", "queue.json"], why)

    def test_a_file_that_is_there_is_left_alone(self):
        path = self.folder / "mine.tar.gz"
        path.write_text("mine")
        done = self.coderctl.run("support", "bundle", "--output", str(path))
        self.assertEqual((done.returncode, "name another with --output" in done.stderr), (5, True), done.stderr)
        self.assertEqual(path.read_text(), "mine")


if __name__ == "__main__":
    unittest.main()
