"""Certificate authorities, certificates in folders as a supervisor provides them, and a foreign TLS client that looks."""

import os
import pathlib
import pwd
import shutil
import socket
import ssl
import struct
import subprocess

from deploy.local import ports

_VISIT_S = 5
# What PostgreSQL's clients say first when they want TLS.
_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_GRPC_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


def _openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"openssl {arguments[0]}: {done.stderr}")


class Authority:
    """Signs certificates; `certificate` is the file of its own."""

    def __init__(self, folder, name):
        self._folder = folder
        self._made = 0
        self.name = name
        self.certificate = folder / f"{name}.crt"
        self._key = folder / f"{name}.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.certificate)

    def issue(self, name):
        """(certificate, key) files for a client of that name that is a server on loopback, too.

        coderd-api tells by the name which service is calling.
        """
        self._made += 1
        base = self._folder / f"{self.name}-{self._made}"
        key, request, certificate = (base.with_suffix(suffix) for suffix in (".key", ".csr", ".crt"))
        extension = base.with_suffix(".ext")
        extension.write_text(f"subjectAltName=IP:{ports.HOST},DNS:localhost,DNS:{name}\nextendedKeyUsage=serverAuth,clientAuth\n")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                 "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", "1",
                 "-extfile", extension, "-out", certificate)
        return certificate, key


class Folder:
    """tls.crt, tls.key and ca.crt of one party; replaced together by turning a link, as Kubernetes does it."""

    def __init__(self, path, account=None):
        """`account` owns the key; the own one if not given."""
        self._path = pathlib.Path(path)
        self._path.mkdir(parents=True)
        self._account = account
        self._version = 0
        self.certificate, self.key, self.ca = (self._path / "now" / name for name in ("tls.crt", "tls.key", "ca.crt"))

    def replace(self, pair=None, authorities=None):
        """Another (certificate, key), other authorities to trust, or both."""
        self._version += 1
        fresh = self._path / str(self._version)
        if self._version > 1:
            shutil.copytree(self._path / str(self._version - 1), fresh)
        fresh.mkdir(exist_ok=True)
        if pair:
            shutil.copyfile(pair[0], fresh / "tls.crt")
            shutil.copyfile(pair[1], fresh / "tls.key")
        if authorities:
            (fresh / "ca.crt").write_text("".join(authority.certificate.read_text() for authority in authorities))
        (fresh / "tls.key").chmod(0o600)
        if self._account and os.geteuid() == 0:
            owner = pwd.getpwnam(self._account)
            for path in (fresh, *fresh.iterdir()):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        link = self._path / "next"
        link.symlink_to(str(self._version))
        os.replace(link, self._path / "now")


def visit(port, protocol, ca, pair=None):
    """Opens a new connection as a foreign client; the serial number of the server's certificate.

    `protocol` is grpc, postgres or nats; `ca` the file of what to trust, `pair` the client's (certificate, key) if it
    presents one.  AssertionError when either side does not trust the other.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
        context.set_alpn_protocols(["h2"] if protocol == "grpc" else [])
        if pair:
            context.load_cert_chain(*pair)
        with socket.create_connection((ports.HOST, port), timeout=_VISIT_S) as plain:
            _ask_for_tls(plain, protocol)
            with context.wrap_socket(plain, server_hostname=ports.HOST) as secure:
                _hear(secure, protocol)
                return secure.getpeercert()["serialNumber"]
    except OSError as error:
        raise AssertionError(f"a new {protocol} connection fails: {error}") from error


def _ask_for_tls(plain, protocol):
    if protocol == "postgres":
        plain.sendall(_SSL_REQUEST)
        if plain.recv(1) != b"S":
            raise AssertionError("PostgreSQL offers no TLS")
    if protocol == "nats":
        while not plain.recv(1) == b"\n":
            pass


def _hear(secure, protocol):
    """A client's certificate is judged after the handshake: only an answer tells that it was accepted."""
    if protocol == "grpc":
        secure.sendall(_GRPC_PREFACE)
    if protocol == "postgres":
        body = struct.pack("!I", 196608) + b"user\0coder_api\0database\0coder\0\0"
        secure.sendall(struct.pack("!I", len(body) + 4) + body)
    if protocol == "nats":
        secure.sendall(b"PING\r\n")
    if not secure.recv(1):
        raise AssertionError(f"{protocol}: closed without an answer")
