"""The dashboards are what the code makes, and every query is PromQL."""

import json
import pathlib
import subprocess
import tempfile
import unittest

from deploy.grafana import dashboards

_PROMTOOL = "/usr/bin/promtool"


class DashboardsTest(unittest.TestCase):
    def test_the_files_are_what_the_code_makes(self):
        files = {file.stem for file in dashboards.FOLDER.glob("*.json")}
        self.assertEqual(files, set(dashboards.names()))
        for name in dashboards.names():
            text = (dashboards.FOLDER / f"{name}.json").read_text()
            self.assertEqual(text, dashboards.render(name), "run: python3 -m deploy.grafana.dashboards")

    def test_panels_do_not_overlap(self):
        for name in dashboards.names():
            places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in json.loads(dashboards.render(name))["panels"]]
            self.assertEqual(len(places), len(set(places)), name)

    def test_every_query_is_promql(self):
        # promtool parses expressions only within rules.
        rules = [{"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
                 for number, expression in enumerate(dashboards.expressions())]
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "panels.yaml"
            file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
            done = subprocess.run([_PROMTOOL, "check", "rules", str(file)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
