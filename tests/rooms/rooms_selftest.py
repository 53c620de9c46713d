"""Feeds the check a line that breaks each rule, and one that does not."""

import pathlib
import tempfile
import unittest

from tests.rooms import rooms

# rule, offending line, a file where it is refused, a file where it is welcome
_CASES = [
    ("wall clock", "auto t = absl::Now();", "libs/schedule/cron.cc", "libs/clock/clock.cc"),
    ("sleep", "absl::SleepFor(absl::Seconds(1));", "services/coderd-api/app.cc", "libs/clock/clock.cc"),
    ("SQL", 'Run("SELECT id FROM workspaces");', "services/coderd-api/x_service.cc", "libs/storage/postgres/x.cc"),
    ("SQL", 'Run("UPDATE builds SET state = 1");', "libs/events/codec.cc", "libs/storage/postgres/x.cc"),
    ("libpq", "#include <libpq-fe.h>", "libs/storage/postgres/x.cc", "libs/pg/connection.cc"),
    ("nats", "#include <nats/nats.h>", "services/pubsub-relay/app.cc", "libs/jetstream/stream.cc"),
    ("gRPC status", "grpc::Status Get();", "libs/fanout/ring.h", "services/coderd-api/users_service.h"),
    ("flag", 'ABSL_FLAG(int, port, 0, "");', "services/coderd-api/app.cc", "services/coderd-api/config.cc"),
    ("name that says nothing", "class StoreImpl : public Store {", "libs/storage/store.h", None),
]


class RoomsTest(unittest.TestCase):
    def test_each_rule_refuses_its_offence(self):
        for rule, line, wrong, _ in _CASES:
            with self.subTest(rule=rule, line=line):
                found = list(rooms.violations(wrong, line + "\n"))
                self.assertEqual(len(found), 1)
                self.assertTrue(found[0].startswith(f"{wrong}:1: {rule}: "), found[0])

    def test_each_rule_allows_its_own_room(self):
        for rule, line, _, right in _CASES:
            if right is not None:
                with self.subTest(rule=rule, line=line):
                    self.assertEqual(list(rooms.violations(right, line + "\n")), [])

    def test_every_rule_has_a_case(self):
        self.assertEqual({rule.name for rule in rooms.RULES}, {case[0] for case in _CASES})

    def test_a_long_file_is_refused_unless_it_is_a_test(self):
        text = "\n" * (rooms.LONGEST + 1)
        self.assertEqual(len(list(rooms.violations("libs/a/b.cc", text))), 1)
        self.assertEqual(list(rooms.violations("libs/a/b_test.cc", text)), [])
        self.assertEqual(list(rooms.violations("libs/a/b.cc", "\n" * rooms.LONGEST)), [])

    def test_a_comment_may_name_what_code_may_not(self):
        self.assertEqual(list(rooms.violations("libs/a/b.h", "// absl::Now() is not called here\n")), [])

    def test_no_file_is_not_a_pass(self):
        with tempfile.TemporaryDirectory() as empty:
            self.assertEqual(rooms.check(pathlib.Path(empty)), 1)

    def test_a_checkout_is_read_from_its_folders(self):
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name)
            (root / "libs/a").mkdir(parents=True)
            (root / "libs/a/b.cc").write_text("int x;\n")
            self.assertEqual(rooms.check(root), 0)
            (root / "libs/a/b.cc").write_text("auto t = absl::Now();\n")
            self.assertEqual(rooms.check(root), 1)


if __name__ == "__main__":
    unittest.main()
