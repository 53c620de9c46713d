"""Certificates, then the authority that signs them, are replaced on disk while everything runs."""

import collections
import signal
import subprocess
import threading
import time
import urllib.request

from deploy.local import nats, postgres
from tests.drills import authority, drill
from tests.faults import world as suite

# What a service needs at most to look at its files again (30 s) and a handshake.
_NOTICED_WITHIN_S = 45
_BETWEEN_VISITS_S = 1
_CLIENTS = ("load", "provisionerd", "autostart-scheduler", "coder_api", "coder_relay")
_SERVERS = ("coderd-api", postgres.NAME, nats.NAME)
# Asked for a client's certificate, and with which.
_PRESENTED = {"coderd-api": "load", postgres.NAME: "coder_api", nats.NAME: None}
_HBA = """hostssl   coder coder_api,coder_relay 127.0.0.1/32 scram-sha-256 clientcert=verify-full
hostnossl all   coder_api,coder_relay 127.0.0.1/32 reject
"""


# Those that do nothing, so that no commit is cut off from its answer.
_END_IDLE = ("SELECT usename, count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename IN ('coder_api', 'coder_relay') "
             "AND state = 'idle' AND state_change < now() - interval '200 ms' GROUP BY 1")


class _Visitor(threading.Thread):
    """Opens a connection to each server every second, with what is on disk then, and keeps what failed."""

    def __init__(self, visit):
        super().__init__(daemon=True)
        self._visit = visit
        self._ended = threading.Event()
        self.visits = 0
        self.failures = collections.Counter()

    def run(self):
        """Until end()."""
        while not self._ended.wait(_BETWEEN_VISITS_S):
            for server in _SERVERS:
                self.visits += 1
                try:
                    self._visit(server)
                except AssertionError as error:
                    self.failures[f"{server}: {error}"] += 1

    def end(self):
        """Waits for the last visit."""
        self._ended.set()
        self.join()


class CertificateRotation(drill.Drill):
    """With TLS on every hop, certificates and then their authority are replaced while calls and watches run."""

    name = "certificate-rotation"
    spoilt = "an authority replaced at once, without a time in which both are trusted"
    minutes = 5
    kind = suite.Kind(relays=2)
    # Long enough to be under way whenever something is replaced.
    load = {"pause_ms": 200}

    def begin(self, world, notes, spoil):
        """The suite comes up in plaintext, so that the first user can be made, and is started again with TLS."""
        notes.step("starting PostgreSQL, nats-server, the services and the load, with TLS between all")
        world.bring_up()
        self._certify(world)
        self._secure_servers(world)
        self._secure_services(world)
        load = self._folders["load"]
        world.begin_load(ca=load.ca, certificate=load.certificate, key=load.key, **self.load)

    def _certify(self, world):
        self._made = world.folder / "authorities"
        self._made.mkdir()
        self._first = authority.Authority(self._made, "first")
        self._signs = self._first
        self._folders = {name: authority.Folder(world.folder / "certificates" / name,
                                                "postgres" if name == postgres.NAME else None)
                         for name in _CLIENTS + _SERVERS}
        self._hashed = world.folder / "trusted"
        self._hashed.mkdir()
        self._trust([self._first], pairs=True)

    def _trust(self, authorities, pairs=False):
        """Puts files in the place of others: what to trust, and with `pairs` new certificates and keys."""
        for name, folder in self._folders.items():
            folder.replace(self._signs.issue(name) if pairs else None, authorities)
        # What nats.c trusts is a folder in which OpenSSL looks by hash whenever it meets an unknown authority.
        for old in self._hashed.iterdir():
            old.unlink()
        for known in authorities or ():
            (self._hashed / f"{known.name}.pem").write_text(known.certificate.read_text())
        subprocess.run(["openssl", "rehash", str(self._hashed)], check=True, capture_output=True)

    def _secure_servers(self, world):
        folder = self._folders[postgres.NAME]
        for setting, value in (("ssl_cert_file", folder.certificate), ("ssl_key_file", folder.key), ("ssl_ca_file", folder.ca),
                               ("ssl", "on")):
            world.query(f"ALTER SYSTEM SET {setting} = '{value}'", role="postgres")
        hba = world.local.data.path / "postgres" / "pg_hba.conf"
        hba.write_text(_HBA + hba.read_text())
        folder = self._folders[nats.NAME]
        world.local.nats.tls = {"cert_file": str(folder.certificate), "key_file": str(folder.key)}
        world.local.processes.stop(nats.NAME)
        world.start_server(nats.NAME)
        self._reload_servers(world)

    def _reload_servers(self, world):
        world.send(postgres.NAME, signal.SIGHUP)
        world.send(nats.NAME, signal.SIGHUP)

    def _secure_services(self, world):
        api = self._folders["coderd-api"]
        for name, service in world.local.instances.items():
            variables = world.environment(name)
            if service in ("coderd-api", "pubsub-relay"):
                self._secure_addresses(world, service, variables)
            if service == "coderd-api":
                world.flags[name] = world.flags[name] + [
                    f"--grpc-tls-certificate={api.certificate}", f"--grpc-tls-key={api.key}", f"--grpc-tls-client-ca={api.ca}"]
            if service in ("provisionerd", "autostart-scheduler"):
                own = self._folders[service]
                world.flags[name] = world.flags.get(name, []) + [
                    f"--api-ca={own.ca}", f"--api-certificate={own.certificate}", f"--api-key={own.key}"]
        # A list of addresses has no name that a certificate could be held against.
        world.wiring = world.wiring._replace(plaintext=False, apis=["coderd-api"])
        for name in reversed(list(world.local.instances)):
            world.drain(name, drill.GRACE_S)
        for name in world.local.instances:
            world.restart(name)

    def _secure_addresses(self, world, service, variables):
        role = {"coderd-api": "coder_api", "pubsub-relay": "coder_relay"}[service]
        own = self._folders[role]
        url = variables.get("CODER_POSTGRES_URL", world.local.postgres.url(role))
        variables["CODER_POSTGRES_URL"] = (f"{url}?sslmode=verify-full&sslrootcert={own.ca}&sslcert={own.certificate}"
                                           f"&sslkey={own.key}")
        url = variables.get("CODER_NATS_URL", world.local.nats.url(service))
        variables["CODER_NATS_URL"] = url.replace("nats://", "tls://")
        variables["SSL_CERT_DIR"] = str(self._hashed)

    def _visit(self, world, server, pair=None):
        port = world.local.ports["coderd-api grpc" if server == "coderd-api" else server]
        protocol = "grpc" if server == "coderd-api" else server
        folder = self._folders[_PRESENTED[server] or server]
        presents = (pair or (folder.certificate, folder.key)) if _PRESENTED[server] else None
        return authority.visit(port, protocol, folder.ca, presents)

    def _serials(self, world):
        return {server: self._visit(world, server) for server in _SERVERS}

    def run(self, world, notes, spoil):
        """New certificates; a new authority; then connections that are all made anew."""
        encrypted = world.query("SELECT usename, count(*), bool_and(ssl AND client_dn IS NOT NULL) FROM pg_stat_ssl JOIN "
                                "pg_stat_activity USING (pid) WHERE usename IN ('coder_api', 'coder_relay') GROUP BY 1 ORDER BY 1",
                                role="postgres")
        notes.found(f"PostgreSQL's sessions: {', '.join(f'{count} of {role}' for role, count, _ in encrypted)}, all with a "
                    "client's certificate")
        notes.hold(len(encrypted) == 2 and all(row[2] == "t" for row in encrypted), f"all sessions were to use TLS: {encrypted}")
        drill.await_load(world)
        before = len(world.history())
        self._visitor = _Visitor(lambda server: self._visit(world, server))
        self._visitor.start()
        try:
            self._replace_certificates(world, notes, "certificates of the same authority", None)
            self._replace_authority(world, notes, spoil)
        finally:
            self._visitor.end()
        notes.found(f"{self._visitor.visits} connections opened meanwhile, {sum(self._visitor.failures.values())} failed")
        for failure, count in self._visitor.failures.items():
            notes.hold(False, f"{count} new connections failed: {failure}")
        lines = world.history(before)
        repeated = sum(line["kind"] == "retry" for line in lines)
        notes.found(f"{sum(line['kind'] == 'ack' for line in lines)} builds acknowledged meanwhile, {repeated} calls repeated, "
                    f"{len(drill.endings(lines))} watches ended")
        notes.hold(repeated == 0, f"{repeated} calls had to be repeated; none was to")
        notes.hold(not drill.endings(lines), f"watches ended: {drill.endings(lines)[:3]}; none was to")
        self._connect_anew(world, notes)

    def _replace_certificates(self, world, notes, what, authorities):
        old = self._serials(world)
        self._trust(authorities or [self._first], pairs=True)
        self._reload_servers(world)
        began = time.monotonic()
        seen = {}

        def noticed():
            for server in _SERVERS:
                if server not in seen and self._visit(world, server) != old[server]:
                    seen[server] = time.monotonic() - began
            return len(seen) == len(_SERVERS)
        suite.wait_for(f"{what} are seen", noticed, _NOTICED_WITHIN_S)
        new = self._serials(world)
        notes.step(f"{what}: " + "; ".join(
            f"{server} {old[server][-6:]} to {new[server][-6:]} after {seen[server]:.1f} s" for server in _SERVERS))
        # Clients look as often as servers do.
        time.sleep(max(0, _NOTICED_WITHIN_S - (time.monotonic() - began)))
        drill.await_load(world, drill.FLOWS // 4)

    def _replace_authority(self, world, notes, spoil):
        second = authority.Authority(self._made, "second")
        old_pair = self._first.issue("load")
        self._signs = second
        if not spoil:
            self._trust([self._first, second])
            self._reload_servers(world)
            self._await_trust(world, notes, second, True)
            self._replace_certificates(world, notes, "certificates of the second authority", [self._first, second])
        self._trust([second], pairs=spoil)
        self._reload_servers(world)
        self._await_trust(world, notes, self._first, False, old_pair)
        drill.await_load(world, drill.FLOWS // 4)

    def _await_trust(self, world, notes, whose, wanted, pair=None):
        """Until coderd-api and PostgreSQL accept clients of the authority, or no more."""
        began = time.monotonic()
        pairs = {server: pair if pair and server == "coderd-api" else whose.issue(_PRESENTED[server])
                 for server in ("coderd-api", postgres.NAME)}

        def is_so():
            return all(self._accepts(world, server, known) == wanted for server, known in pairs.items())
        suite.wait_for(f"clients of the {whose.name} authority are {'accepted' if wanted else 'refused'}", is_so, _NOTICED_WITHIN_S)
        notes.step(f"clients of the {whose.name} authority are {'accepted' if wanted else 'refused'} after "
                   f"{time.monotonic() - began:.1f} s")
        time.sleep(max(0, _NOTICED_WITHIN_S - (time.monotonic() - began)))

    def _accepts(self, world, server, pair):
        try:
            self._visit(world, server, pair)
        except AssertionError:
            return False
        return True

    def _connect_anew(self, world, notes):
        """Cuts what still lives on the old certificates: every service has to connect with the new ones by itself."""
        def end_idle_sessions():
            suite.wait_for("sessions of both services are ended", lambda: len(world.query(_END_IDLE, role="postgres")) == 2,
                           suite.CONVERGES_S)

        def restart_nats():
            world.local.processes.stop(nats.NAME)
            world.start_server(nats.NAME)

        def restart(name):
            notes.hold(world.drain(name, drill.GRACE_S) == 0, f"{name} was to leave with status 0")
            world.restart(name)
        steps = [("PostgreSQL ends idle sessions", end_idle_sessions), ("nats-server is started again", restart_nats)]
        steps += [(f"{name} is started again", lambda name=name: restart(name)) for name in world.apis()]
        for what, work in steps:
            before = len(world.history())
            work()
            drill.await_load(world)
            caught_up_s = world.converge(what)
            repeated = collections.Counter(f"{line['code']} {line['reason']}".rstrip() for line in world.history(before)
                                           if line["kind"] == "retry")
            notes.step(f"{what}: watchers are even with the tables after {caught_up_s:.2f} s; calls repeated: "
                       f"{', '.join(f'{count} after {code}' for code, count in repeated.items()) or 'none'}")
        up = [name for name in world.relays() if self._stream_is_up(world, name)]
        notes.hold(up == world.relays(), f"relays were to reach the stream again; only {up} do")

    def _stream_is_up(self, world, name):
        return suite.wait_for(f"{name} reaches the stream", lambda: b"coderd_relay_stream_up 1" in _metrics(world, name),
                              _NOTICED_WITHIN_S)

    def judge(self, world, notes):
        """Nobody was refused for good, no build suffered."""
        drill.hold_calls(world, notes)
        drill.hold_builds(world, notes)


def _metrics(world, name):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{world.local.ports[name + ' admin']}/metrics", timeout=5) as answer:
        return answer.read()


DRILLS = [CertificateRotation()]
