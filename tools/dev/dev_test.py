"""What ./dev makes of other programs' output: Bazel's events and actions, engines' versions."""

import contextlib
import io
import pathlib
import tempfile
import unittest

from tools.dev import bazel, engine, lint, work


def _configured(label):
    return {"id": {"targetConfigured": {"label": label}}, "configured": {"testSize": "SMALL"}}


def _summary(label, verdict):
    return {"id": {"testSummary": {"label": label}}, "testSummary": {"overallStatus": verdict}}


class OutcomeTest(unittest.TestCase):
    def test_targets_are_counted_by_their_verdict(self):
        events = [_configured("//a"), _configured("//b"), _summary("//a", "PASSED"), _summary("//b", "TIMEOUT")]
        outcome = bazel.read_outcome(events, 3)
        self.assertEqual((outcome.passed, outcome.failed), (1, 1))
        self.assertEqual(outcome.problems, ["//b: timeout"])

    def test_a_flaky_test_is_not_a_passed_one(self):
        self.assertEqual(bazel.read_outcome([_summary("//a", "FLAKY")], 0).failed, 1)

    def test_a_test_that_did_not_build_is_a_failed_one(self):
        outcome = bazel.read_outcome([_configured("//a"), _configured("//b"), _summary("//a", "PASSED")], 1)
        self.assertEqual(outcome.problems, ["//b: did not build or did not run"])

    def test_a_library_is_not_a_test(self):
        library = {"id": {"targetConfigured": {"label": "//l"}}, "configured": {"targetKind": "cc_library rule"}}
        self.assertEqual(bazel.read_outcome([library], 0), bazel.Outcome(0, 0, []))

    def test_a_run_that_broke_before_any_test_is_a_failure(self):
        self.assertEqual(bazel.read_outcome([], 1).failed, 1)
        self.assertEqual(bazel.read_outcome([], 37).failed, 1)


class SummaryTest(unittest.TestCase):
    def closing(self, *outcomes):
        with contextlib.redirect_stdout(io.StringIO()) as told:
            status = work.summary(outcomes)
        return status, told.getvalue().splitlines()

    def test_the_last_line_adds_everything_up(self):
        status, lines = self.closing(bazel.Outcome(3, 0, []), bazel.Outcome(2, 1, ["x: broken"]))
        self.assertEqual((status, lines), (1, ["FAILED x: broken", "5 passed, 1 failed"]))

    def test_nothing_run_is_not_a_success(self):
        self.assertEqual(self.closing(bazel.Outcome(0, 0, [])), (1, ["0 passed, 0 failed"]))

    def test_all_green_is_a_success(self):
        self.assertEqual(self.closing(bazel.Outcome(7, 0, []))[0], 0)


class EngineTest(unittest.TestCase):
    def test_which_engines_are_accepted(self):
        for name, version, accepted in (("tofu", "1.5.7", False), ("tofu", "1.6.0", True), ("tofu", "1.12.6", True),
                                        ("terraform", "1.5.7", False), ("terraform", "1.11.4", True),
                                        ("terraform", "1.14.9", True), ("terraform", "1.15.0", False)):
            with self.subTest(name=name, version=version):
                self.assertEqual(engine.accepts(name, version), accepted)

    def test_without_a_mirror_every_provider_comes_from_its_registry(self):
        self.assertNotIn("provider_installation", engine.render_config(None))

    def test_a_mirror_serves_only_the_coder_provider(self):
        config = engine.render_config(pathlib.Path("/m"))
        both = '["registry.opentofu.org/coder/coder", "registry.terraform.io/coder/coder"]'
        self.assertIn(f"include = {both}", config)
        self.assertIn(f"exclude = {both}", config)

    def test_the_mirror_has_the_layout_engines_look_for(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "built").write_text("binary")
            engine.make_mirror(folder / "built", "2.20.0", folder / "mirror")
            found = sorted(str(path.relative_to(folder / "mirror")) for path in (folder / "mirror").rglob("*v2*"))
            self.assertEqual([path.split("/")[0] for path in found], sorted(engine.REGISTRIES))
            self.assertTrue(all("/coder/coder/2.20.0/linux_" in path for path in found))


class CompileCommandsTest(unittest.TestCase):
    def test_paths_hold_from_the_checkout_and_foreign_sources_are_left_out(self):
        graph = {"actions": [
            {"arguments": ["gcc", "-std=c++20", "-fno-canonical-system-headers", "-MD", "-MF", "x.d", "-iquote",
                           "external/libpq", "-iquote", ".", "-c", "libs/a/b.cc", "-o", "b.o"]},
            {"arguments": ["gcc", "-c", "bazel-out/k8/bin/protos/x.pb.cc", "-o", "x.o"]},
        ]}
        self.assertEqual(lint.commands_from_actions(graph, "/out"),
                         {"libs/a/b.cc": ["-std=c++20", "-iquote", "/out/external/libpq", "-iquote", "."]})


if __name__ == "__main__":
    unittest.main()
