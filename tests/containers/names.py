"""What a cluster gives pods beside containers: names of Services that lead to ready pods, and a way in from outside."""

import ipaddress
import random
import socket
import struct
import threading

_A, _IN, _NXDOMAIN = 1, 1, 3
_TTL_S = 5


def _question(packet):
    """(name, type, the question's bytes) of a query."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode().lower())
        at += 1 + packet[at]
    kind, _ = struct.unpack_from("!HH", packet, at + 1)
    return ".".join(labels), kind, packet[12:at + 5]


def answer(packet, addresses_of):
    """The answer to a query; `addresses_of` maps a name to its addresses, or to None when there is no such name."""
    name, kind, question = _question(packet)
    addresses = addresses_of(name)
    # Authoritative, recursion available: nobody needs to ask elsewhere.
    flags = 0x8580 | (0 if addresses is not None else _NXDOMAIN)
    found = addresses if addresses and kind == _A else []
    records = b"".join(struct.pack("!HHHIH", 0xC00C, _A, _IN, _TTL_S, 4) + ipaddress.ip_address(address).packed
                       for address in found)
    return packet[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0) + question + records


class Names:
    """A name server on one address, port 53."""

    def __init__(self, address, addresses_of):
        self._addresses_of = addresses_of
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                packet, client = self._socket.recvfrom(4096)
                self._socket.sendto(answer(packet, self._addresses_of), client)
            except (IndexError, struct.error, UnicodeDecodeError):
                continue
            except OSError:
                return

    def close(self):
        self._socket.close()


class Way:
    """A loopback port that leads each new connection to one of the addresses there are at that moment."""

    def __init__(self, addresses_of, port):
        """`port` is where those at the addresses listen."""
        self._addresses_of = addresses_of
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((random.choice(self._addresses_of()), self._target), timeout=5)
            except (OSError, IndexError):
                client.close()
                continue
            server.settimeout(None)
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=_pass, args=(source, target), daemon=True).start()

    def close(self):
        self._listener.close()


def _pass(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
