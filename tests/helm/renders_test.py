"""What the chart makes of values: golden renders, advice for wrong values, files made from values.yaml."""

import difflib
import shutil
import unittest

import yaml

from tests.helm import chart
from tools.dev import chart_values, tests_need

_UPDATE = "look at the difference and, if it is meant, run: ./dev helm --update"


def setUpModule():
    """One copy of the chart for all tests."""
    global helm
    helm = chart.Helm(tests_need.program("CODER_TEST_HELM"))
    unittest.addModuleCleanup(helm.close)


class Renders(unittest.TestCase):
    """Renders of the cases."""

    def test_lint_is_content_with_every_case(self):
        for case in chart.CASES:
            with self.subTest(case):
                self.assertEqual(helm.lint(case), "")

    def test_every_case_renders_as_its_golden_file(self):
        for case in chart.CASES:
            with self.subTest(case):
                golden = (chart.TESTS / "golden" / f"{case}.yaml").read_text()
                difference = "".join(difflib.unified_diff(golden.splitlines(True), helm.case(case).splitlines(True),
                                                          "golden", "rendered", n=2))
                self.assertEqual(difference, "", _UPDATE)

    def test_no_golden_file_is_left_over(self):
        self.assertEqual({path.stem for path in (chart.TESTS / "golden").iterdir()}, set(chart.CASES))

    def test_gitops_renders_no_hooks(self):
        self.assertNotIn("helm.sh/hook", helm.case("gitops"))

    def test_monitors_need_the_operator(self):
        text = helm.template(["cases/default.yaml", "cases/everything.yaml"], apis=())
        self.assertNotIn("monitoring.coreos.com", text)

    def test_the_suites_own_rules_are_in(self):
        (rules,) = [found for found in chart.documents(helm.case("everything")) if found["kind"] == "PrometheusRule"]
        names = {group["name"] for group in rules["spec"]["groups"]}
        own = yaml.safe_load((chart.places.ROOT / "deploy/prometheus/coder-suite.rules.yaml").read_text())["groups"]
        self.assertEqual(names, {"site"} | {group["name"] for group in own})

    def test_notes_name_three_commands(self):
        notes = helm.notes("default")
        for words in ("coderctl login http://127.0.0.1:7080",
                      "create secret generic coder-provisioner-key --from-file=provisioner-key=/dev/stdin",
                      "helm -n coder test coder"):
            self.assertIn(words, notes)

    def test_rules_and_dashboards_of_files_are_taken(self):
        (helm.chart / "files/rules/site.yaml").write_text(
            "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: vector(1)\n"
            "        annotations:\n          summary: '{{ $value }} of them'\n")
        (helm.chart / "files/dashboards/site.json").write_text('{"title": "{{ legend }}"}\n')
        self.addCleanup((helm.chart / "files/rules/site.yaml").unlink)
        self.addCleanup((helm.chart / "files/dashboards/site.json").unlink)
        objects = chart.documents(helm.template(["cases/default.yaml"], "--set", "prometheusRule.enabled=true", "--set",
                                                "dashboards.enabled=true"))
        rules = [found for found in objects if found["kind"] == "PrometheusRule"]
        alerts = [rule["annotations"]["summary"] for group in rules[0]["spec"]["groups"] for rule in group["rules"]
                  if rule.get("alert") == "A"]
        self.assertEqual(alerts, ["{{ $value }} of them"])
        boards = {found["metadata"]["name"] for found in objects if "grafana_dashboard" in found["metadata"]["labels"]}
        self.assertEqual(boards, {f"coder-coder-suite-dashboard-{path.stem}"
                                  for path in (helm.chart / "files/dashboards").glob("*.json")})
        boards = [found["data"]["site.json"] for found in objects
                  if found["kind"] == "ConfigMap" and "site.json" in found.get("data", {})]
        self.assertEqual(boards, ['{"title": "{{ legend }}"}\n'])


class Refusals(unittest.TestCase):
    """Values that cannot work."""

    def test_each_gets_its_advice(self):
        for case in yaml.safe_load((chart.TESTS / "refusals.yaml").read_text()):
            with self.subTest(case["name"]):
                values = helm.home / "refused.yaml"
                values.write_text(yaml.safe_dump(case["values"]))
                with self.assertRaises(chart.Refused) as refused:
                    helm.template(["cases/default.yaml"], "-f", values)
                self.assertIn(case["says"], str(refused.exception))

    def test_an_umbrella_chart_may_bring_its_own(self):
        umbrella = helm.home / "umbrella"
        (umbrella / "charts").mkdir(parents=True)
        shutil.copytree(helm.chart, umbrella / "charts/coder-suite")
        (umbrella / "Chart.yaml").write_text(
            "apiVersion: v2\nname: umbrella\nversion: 1.0.0\ndependencies:\n  - name: coder-suite\n    version: 0.1.0\n"
            "    condition: coder-suite.enabled\n")
        values = yaml.safe_load((chart.TESTS / "cases/default.yaml").read_text())
        (umbrella / "values.yaml").write_text(yaml.safe_dump(
            {"global": {"imageRegistry": "r"}, "other": {"a": 1}, "coder-suite": {**values, "enabled": True, "tags": {}}}))
        self.assertIn("kind: Deployment", helm.template([], chart=umbrella))


class Values(unittest.TestCase):
    """values.yaml and what is made of it."""

    def test_every_value_has_a_comment(self):
        self.assertEqual(chart_values.uncommented((chart.CHART / "values.yaml").read_text()), [])

    def test_the_files_made_of_it_are_fresh(self):
        for path, text in chart.generated().items():
            with self.subTest(path):
                self.assertEqual((chart.places.ROOT / path).read_text(), text, "run: ./dev helm --update")

    def test_every_rule_of_the_schema_is_of_a_value_that_exists(self):
        known = {row.path for row in chart_values.rows((chart.CHART / "values.yaml").read_text())}
        self.assertEqual(set(chart_values.RULES) - known, set())

    def test_chart_and_suite_are_of_one_version(self):
        about = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
        self.assertEqual(about["appVersion"], (chart.places.ROOT / "VERSION").read_text().strip())


if __name__ == "__main__":
    unittest.main()
