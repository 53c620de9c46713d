"""Bad input, each with its typed error: what coderctl ends with, and what the API says to a foreign client."""

import base64
import collections
import gzip
import io
import subprocess
import tarfile
import unittest
import uuid

from deploy.local import postgres
from tests.e2e import harness

# A command line, the exit code and words of the error.
Refusal = collections.namedtuple("Refusal", "name arguments exit_code words")

_PARAMETERS = [
    {"name": "size", "type": "string", "required": True, "options": [{"name": "S", "value": "s"}, {"name": "L", "value": "l"}]},
    {"name": "count", "type": "number", "mutable": True, "default": "1", "validation": {"min": 1, "max": 4}},
]

COMMANDS = [
    Refusal("no such workspace", ["show", "nothing"], 3, "NOT_FOUND"),
    Refusal("no such template", ["create", "new1", "--template", "nothing"], 3, "nothing"),
    Refusal("no such command", ["paint"], 2, "has no command"),
    Refusal("name with two hyphens", ["create", "a--b", "--template", "asking", "-p", "size=s"], 2, "name: "),
    Refusal("name too long", ["create", "x" * 33, "--template", "asking", "-p", "size=s"], 2, "name: "),
    Refusal("name taken", ["create", "taken", "--template", "asking", "-p", "size=s"], 5, "ALREADY_EXISTS"),
    Refusal("parameter missing", ["create", "new2", "--template", "asking"], 2, "size"),
    Refusal("parameter not an option", ["create", "new2", "--template", "asking", "-p", "size=xl"], 2, "size"),
    Refusal("parameter of the wrong type", ["create", "new2", "--template", "asking", "-p", "size=s", "-p", "count=many"], 2,
            "count"),
    Refusal("parameter out of range", ["create", "new2", "--template", "asking", "-p", "size=s", "-p", "count=5"], 2, "count"),
    Refusal("unknown parameter", ["create", "new2", "--template", "asking", "-p", "size=s", "-p", "colour=red"], 2, "colour"),
    Refusal("changed immutable parameter", ["start", "stopped", "-p", "size=l"], 2, "size"),
    Refusal("schedule with too few fields", ["schedule", "start", "taken", "9 * *"], 2, "autostart_schedule"),
    Refusal("schedule in no known zone", ["schedule", "start", "taken", "CRON_TZ=Europe/Atlantis 0 9 * * *"], 2, "Atlantis"),
    Refusal("schedule at minute 60", ["schedule", "start", "taken", "60 9 * * *"], 2, "60"),
    Refusal("preview of a schedule at hour 24", ["schedule", "preview", "--schedule", "0 24 * * *"], 2, "24"),
    Refusal("preview in no known zone", ["schedule", "preview", "--schedule", "0 9 * * *", "--zone", "Mars/Base"], 2, "Mars"),
    Refusal("skip without a schedule", ["schedule", "skip-next", "stopped"], 5, "NO_SCHEDULE"),
    Refusal("activity of a stopped workspace", ["schedule", "activity", "stopped"], 5, "NOT_RUNNING"),
    Refusal("quiet hours on one day", ["users", "quiet-hours", "me", "0 3 * * 1"], 2, "day-of-week"),
    Refusal("blackout that ends before it begins", ["blackouts", "add", "2026-12-24", "2026-12-01"], 2, "last_date"),
    Refusal("TTL below a minute", ["schedule", "stop", "taken", "30s"], 2, "ttl"),
    Refusal("TTL above 30 days", ["schedule", "stop", "taken", "721h"], 2, "ttl"),
    Refusal("deadline of a stopped workspace", ["schedule", "extend", "stopped", "1h"], 5, "NOT_RUNNING"),
    Refusal("build while another runs", ["stop", "busy"], 5, "BUILD_ACTIVE"),
    Refusal("cancel of a finished build", ["cancel", "taken"], 5, "JOB_COMPLETED"),
    Refusal("no late state", ["resolve-state", "taken", "--adopt"], 5, "NO_LATE_STATE"),
    Refusal("template in use", ["templates", "delete", "asking"], 5, "TEMPLATE_IN_USE"),
    Refusal("garbled resume token", ["watch", "--from", "AAAA", "--count", "1"], 2, "TOKEN_INVALID"),
    Refusal("garbled token", ["list", "--token", "garbled"], 4, "TOKEN_INVALID"),
]


def _entry(name, data=b"", **fields):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry, data


def _archive(*entries):
    """A tar file of the entries, as whoever means harm would make it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for entry, data in entries:
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


ARCHIVES = [
    ("a way out", _archive(_entry("../main.tf", b"x")), "INVALID_ARGUMENT", "ARCHIVE_REFUSED"),
    ("an absolute path", _archive(_entry("/etc/main.tf", b"x")), "INVALID_ARGUMENT", "ARCHIVE_REFUSED"),
    ("a symbolic link", _archive(_entry("a.tf", type=tarfile.SYMTYPE, linkname="/etc/passwd")), "INVALID_ARGUMENT",
     "ARCHIVE_REFUSED"),
    ("a device", _archive(_entry("a.tf", type=tarfile.CHRTYPE)), "INVALID_ARGUMENT", "ARCHIVE_REFUSED"),
    ("half an archive", _archive(_entry("a.tf", b"x" * 600))[:700], "INVALID_ARGUMENT", "ARCHIVE_REFUSED"),
    ("no archive", b"hello", "INVALID_ARGUMENT", "ARCHIVE_REFUSED"),
    ("a bomb", gzip.compress(_archive(*(_entry(f"{n}.tf", bytes(8 << 20)) for n in range(13)))), "RESOURCE_EXHAUSTED",
     "ARCHIVE_TOO_LARGE"),
    ("more than 10 MiB", _archive(_entry("a.tf", bytes(11 << 20))), "RESOURCE_EXHAUSTED", "ARCHIVE_TOO_LARGE"),
]


def _password(text):
    return {"CODER_PASSWORD": text}


class ErrorsTest(harness.SuiteTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.push_echo("asking", parameters=_PARAMETERS)
        cls.push_echo("lasting", start={"delay_ms": 600_000})
        cls.coderctl.do("create", "taken", "--template", "asking", "-p", "size=s")
        cls.coderctl.do("create", "stopped", "--template", "asking", "-p", "size=s")
        cls.coderctl.do("stop", "stopped")
        cls.coderctl.do("create", "busy", "--template", "lasting", "--no-wait")
        cls.addClassCleanup(cls.coderctl.run, "cancel", "busy")

    def assert_refused(self, done, exit_code, words):
        """Three lines on standard error and the exit code."""
        self.assertEqual(done.returncode, exit_code, done.stderr)
        self.assertIn(words, done.stderr)

    def test_each_refused_command_names_its_cause(self):
        for refusal in COMMANDS:
            with self.subTest(refusal.name):
                self.assert_refused(self.coderctl.run(*refusal.arguments), refusal.exit_code, refusal.words)

    def test_nobody_listens(self):
        done = self.person("lost", "http://127.0.0.1:1").run("list", "--timeout=5", "--token", "aaaaaaaaaa-a")
        self.assert_refused(done, 6, "UNAVAILABLE")

    def test_a_wrong_password_says_no_more_than_that(self):
        done = self.person("guesser").run("login", "--email", "admin@example.com", environment=_password("not the password"))
        self.assert_refused(done, 4, "BAD_CREDENTIALS")

    def test_a_member_neither_sees_nor_does_what_is_not_theirs(self):
        self.coderctl.do("users", "create", "bea", "--email", "bea@example.com", environment=_password("correct horse"))
        bea = self.person("bea")
        bea.do("login", "--email", "bea@example.com", environment=_password("correct horse"))
        self.assert_refused(bea.run("show", "admin/taken"), 3, "NOT_FOUND")
        template = str(self.folder / "templates/asking")
        self.assert_refused(bea.run("templates", "push", template, "--provisioner", "echo", "--name", "mine"), 4,
                            "PERMISSION_DENIED")
        self.assert_refused(bea.run("users", "create", "eve", "--email", "eve@example.com",
                                    environment=_password("correct horse")), 4, "PERMISSION_DENIED")

    def test_tokens_that_hold_no_longer(self):
        secret = self.coderctl.do("tokens", "create", "doomed").strip()
        whoami = "coder.api.v1.AuthService/WhoAmI"
        self.assertEqual(self.grpcurl(secret).call(whoami, {}).code, "OK")
        for name, token in (("truncated", secret[:-1]), ("of another secret", secret[:-4] + "AAAA"), ("empty id", "-" + secret)):
            with self.subTest(name):
                answer = self.grpcurl(token).call(whoami, {})
                self.assertEqual((answer.code, answer.reason), ("UNAUTHENTICATED", "TOKEN_INVALID"), str(answer))
        self.expire(secret.split("-")[0])
        self.assert_ends_as(secret, "TOKEN_EXPIRED")
        revoked = self.coderctl.do("tokens", "create", "revoked").strip()
        self.coderctl.do("tokens", "revoke", revoked.split("-")[0])
        self.assert_ends_as(revoked, "TOKEN_REVOKED")

    def expire(self, token_id):
        """Nothing but time expires a token, and the shortest lives a minute: moves its end back in the database."""
        done = subprocess.run(
            [postgres.programs_dir() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", self.local.postgres.url(postgres.OWNER), "-c",
             f"UPDATE api_keys SET expires_at = now() - interval '1 hour' WHERE id = '{token_id}'"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def assert_ends_as(self, token, reason):
        """A changed right is noticed within seconds: asks until the answer is a refusal."""
        refused = harness.wait_until(
            f"{reason} is noticed",
            lambda: next((answer for answer in [self.grpcurl(token).call("coder.api.v1.AuthService/WhoAmI", {})]
                          if answer.code != "OK"), None))
        self.assertEqual((refused.code, refused.reason), ("UNAUTHENTICATED", reason), str(refused))

    def test_archives_that_mean_harm(self):
        organization = self.coderctl.read("organizations", "list")["organizations"][0]["id"]
        for name, data, code, reason in ARCHIVES:
            with self.subTest(name):
                media = "application/gzip" if data[:2] == b"\x1f\x8b" else "application/x-tar"
                chunks = [{"chunk": base64.b64encode(data[at:at + 65536]).decode()} for at in range(0, len(data), 65536)]
                answer = self.grpcurl().call("coder.api.v1.TemplateService/UploadFile",
                                             {"info": {"mediaType": media, "organizationId": organization}}, *chunks)
                self.assertEqual((answer.code, answer.reason), (code, reason), str(answer))

    def test_a_stale_etag_changes_nothing(self):
        workspace = self.show("taken")
        change = {"workspace": {"id": workspace["id"], "name": "renamed", "etag": "0"}, "updateMask": {"paths": ["name"]}}
        answer = self.grpcurl().call("coder.api.v1.WorkspaceService/UpdateWorkspace", change)
        self.assertEqual((answer.code, answer.reason), ("ABORTED", "ETAG_MISMATCH"), str(answer))
        self.assertEqual(self.show("taken")["etag"], workspace["etag"])

    def test_one_request_id_is_one_request(self):
        request = {"name": "once", "templateId": self.show("taken")["template_id"], "requestId": str(uuid.uuid4()),
                   "parameters": [{"name": "size", "value": "s"}]}
        create = "coder.api.v1.WorkspaceService/CreateWorkspace"
        first, second = (self.grpcurl().call(create, request) for _ in range(2))
        ids = [answer.messages[0]["workspace"]["id"] for answer in (first, second) if answer.code == "OK"]
        self.assertEqual((len(ids), len(set(ids))), (2, 1), f"{first} / {second}")
        other = self.grpcurl().call(create, dict(request, name="twice"))
        self.assertEqual((other.code, other.reason), ("INVALID_ARGUMENT", "REQUEST_ID_REUSED"), str(other))

    def test_values_no_command_lets_through(self):
        cases = [
            ("an id that is none", "BuildService/GetWorkspaceBuild", {"id": "x"}, "INVALID_ARGUMENT"),
            ("an id of nobody", "BuildService/GetWorkspaceBuild", {"id": str(uuid.uuid4())}, "NOT_FOUND"),
            ("a page token of nobody", "WorkspaceService/ListWorkspaces", {"pageToken": "x"}, "INVALID_ARGUMENT"),
            ("more than a call may carry", "WorkspaceService/ListWorkspaces", {"search": "x" * (300 << 10)}, "RESOURCE_EXHAUSTED"),
            ("more than any call may carry", "WorkspaceService/ListWorkspaces", {"search": "x" * (5 << 20)}, "RESOURCE_EXHAUSTED"),
            ("a second first user", "AuthService/CreateFirstUser",
             {"email": "a@example.com", "username": "a", "password": "correct horse"}, "ALREADY_EXISTS"),
        ]
        for name, method, request, code in cases:
            with self.subTest(name):
                answer = self.grpcurl().call(f"coder.api.v1.{method}", request)
                self.assertEqual(answer.code, code, str(answer))


if __name__ == "__main__":
    unittest.main()
