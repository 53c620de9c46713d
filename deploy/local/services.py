"""The four services as the launcher runs them: one table of flags and environment."""

import collections
import hashlib

from deploy.local import ports
from tools.dev import places

# `flags` and `environment` are functions of a Wiring.  `uses_grpc_port`: it serves gRPC itself.
Service = collections.namedtuple("Service", "name uses_grpc_port flags environment")

# What a service may need to know of the others.
Wiring = collections.namedtuple("Wiring", "postgres nats ports engine engine_config data provisioners")


def _admin(name):
    return lambda wiring: [f"--admin-listen={ports.HOST}:{wiring.ports[name + ' admin']}"]


def _api_address(wiring):
    return f"{ports.HOST}:{wiring.ports['coderd-api grpc']}"


def work_dir(data):
    """Where provisionerd keeps its jobs: short, because providers put sockets below it."""
    return f"/tmp/coder-{hashlib.sha256(str(data.path).encode()).hexdigest()[:12]}"


SERVICES = [
    Service(
        "coderd-api", True,
        lambda w: [f"--grpc-listen={_api_address(w)}", f"--access-url=http://{_api_address(w)}",
                   "--experiments=workspace-build-updates", f"--keyring-file={w.data.keyring}",
                   f"--service-token-file={w.data.service_token}"],
        lambda w: {"CODER_POSTGRES_URL": w.postgres.url("coder_api"), "CODER_NATS_URL": w.nats.url("coderd-api")}),
    Service(
        "pubsub-relay", False,
        lambda w: [],
        lambda w: {"CODER_POSTGRES_URL": w.postgres.url("coder_relay"), "CODER_NATS_URL": w.nats.url("pubsub-relay")}),
    Service(
        "provisionerd", False,
        lambda w: [f"--api-address={_api_address(w)}", "--api-plaintext", f"--engine-path={w.engine}",
                   f"--engine-config={w.engine_config}", f"--work-dir={work_dir(w.data)}", "--name=local",
                   f"--provisioners={','.join(w.provisioners)}",
                   f"--provisioner-key-file={w.data.provisioner_key}"],
        lambda w: {}),
    Service(
        "autostart-scheduler", False,
        lambda w: [f"--api-address={_api_address(w)}", "--api-plaintext",
                   f"--service-token-file={w.data.service_token}"],
        lambda w: {}),
]

NAMES = [service.name for service in SERVICES]


def port_names():
    """The ports the services need, by name."""
    names = []
    for service in SERVICES:
        names += ([f"{service.name} grpc"] if service.uses_grpc_port else []) + [f"{service.name} admin"]
    return names


def target(service_name):
    """The Bazel target of the service's binary."""
    return f"//services/{service_name}:{service_name}"


def program(service_name):
    """The built binary."""
    return places.ROOT / "bazel-bin/services" / service_name / service_name


def command(service, wiring):
    """The command line that runs the service."""
    return [program(service.name), *service.flags(wiring), *_admin(service.name)(wiring), "--log-format=json",
            "--drain-delay=0s"]


def coderctl():
    """The built command line."""
    return places.ROOT / "bazel-bin/cli/coderctl/coderctl"


def build_targets():
    """Everything the suite runs."""
    return [target(name) for name in NAMES] + ["//cli/coderctl:coderctl"]


def migrate_command():
    """What brings the schema to this checkout's version; runs as the schema's owner."""
    return [program("coderd-api"), "migrate"]
