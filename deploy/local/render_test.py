"""What the launcher writes for others to read: configurations, SQL, command lines, the box."""

import json
import unittest

from deploy.local import box, data_dir, nats, services


class NatsConfigTest(unittest.TestCase):
    def setUp(self):
        self.config = json.loads(nats.render_config(4333, "/data/nats", {"coderd-api": "a", "pubsub-relay": "b"}))
        self.users = {user["user"]: user for user in self.config["authorization"]["users"]}

    def test_it_listens_on_loopback_and_stores_on_disk(self):
        self.assertEqual(self.config["listen"], "127.0.0.1:4333")
        self.assertEqual(self.config["jetstream"]["store_dir"], "/data/nats")

    def test_only_the_services_that_need_it_have_a_user(self):
        self.assertEqual(set(self.users), {"coderd-api", "pubsub-relay"})

    def test_only_the_relay_may_publish_events(self):
        self.assertIn("build.events", self.users["pubsub-relay"]["permissions"]["publish"])
        self.assertFalse([subject for subject in self.users["coderd-api"]["permissions"]["publish"]
                          if subject.startswith("build.events") or subject == ">"])


class _Server:
    def url(self, account):
        return f"scheme://{account}@host"


class ServicesTest(unittest.TestCase):
    def setUp(self):
        instances = {name: name for name in services.NAMES} | {"coderd-api-2": "coderd-api"}
        ports = {name: 5000 + number for number, name in enumerate(services.port_names(instances))}
        self.wiring = services.Wiring(_Server(), _Server(), ports, "/bin/tofu", "/c.tfrc", data_dir.DataDir("/data"),
                                      ["terraform"], ["coderd-api"])

    def command(self, service, flags=()):
        return services.command(service, service.name, self.wiring, flags)

    def test_all_four_are_there_in_the_order_they_start(self):
        self.assertEqual(services.NAMES, ["coderd-api", "pubsub-relay", "provisionerd", "autostart-scheduler"])

    def test_each_has_its_own_admin_port(self):
        seen = set()
        for service in services.SERVICES:
            flags = [flag for flag in self.command(service) if str(flag).startswith("--admin-listen=")]
            self.assertEqual(len(flags), 1)
            seen.add(flags[0])
        self.assertEqual(len(seen), 4)

    def test_database_and_stream_credentials_reach_only_their_owners(self):
        environments = {service.name: service.environment(self.wiring) for service in services.SERVICES}
        self.assertEqual(environments["coderd-api"]["CODER_POSTGRES_URL"], "scheme://coder_api@host")
        self.assertEqual(environments["pubsub-relay"]["CODER_POSTGRES_URL"], "scheme://coder_relay@host")
        for name in ("provisionerd", "autostart-scheduler"):
            self.assertFalse({"CODER_POSTGRES_URL", "CODER_NATS_URL"} & set(environments[name]))

    def test_no_credential_is_on_a_command_line(self):
        for service in services.SERVICES:
            self.assertFalse([part for part in self.command(service) if "scheme://" in str(part)])

    def test_secrets_travel_as_files_and_work_directories_are_short(self):
        commands = {service.name: self.command(service) for service in services.SERVICES}
        self.assertIn("--provisioner-key-file=/data/provisioner.key", commands["provisionerd"])
        self.assertIn("--service-token-file=/data/service.token", commands["autostart-scheduler"])
        self.assertLessEqual(len(services.work_dir(self.wiring.data)), 40)

    def test_a_replica_has_ports_of_its_own_and_clients_balance_over_both(self):
        replica = services.command(services.by_name("coderd-api"), "coderd-api-2", self.wiring, ["--ring-events=64"])
        for flag in ("--grpc-listen=", "--admin-listen="):
            self.assertFalse({part for part in map(str, replica) if part.startswith(flag)} &
                             set(map(str, self.command(services.by_name("coderd-api")))))
        self.assertEqual(replica[-1], "--ring-events=64")
        wiring = self.wiring._replace(apis=["coderd-api", "coderd-api-2"])
        client = services.command(services.by_name("autostart-scheduler"), "autostart-scheduler", wiring)
        both = [f"127.0.0.1:{wiring.ports[name + ' grpc']}" for name in wiring.apis]
        self.assertIn(f"--api-address=ipv4:{','.join(both)}", client)

    def test_the_watch_is_on(self):
        flags = self.command(services.SERVICES[0])
        self.assertIn("--experiments=workspace-build-updates", flags)


class BoxTest(unittest.TestCase):
    def test_every_line_is_equally_wide(self):
        for title in ("up", "a title longer than anything in the box below it"):
            lines = box.draw(title, [("API", "127.0.0.1:1"), ("a longer label", "x")]).splitlines()
            self.assertEqual(len({len(line) for line in lines}), 1, lines)
            self.assertIn(title, lines[0])
            self.assertIn("127.0.0.1:1", lines[1])


if __name__ == "__main__":
    unittest.main()
