"""The four services as the launcher runs them: one table of flags and environment."""

import collections

from deploy.local import ports
from tools.dev import places

# `flags` and `environment` are functions of a Wiring.  `uses_grpc_port`: it serves gRPC itself.
Service = collections.namedtuple("Service", "name uses_grpc_port flags environment")

# What a service may need to know of the others.
Wiring = collections.namedtuple("Wiring", "postgres nats ports engine engine_config data")


def _admin(name):
    return lambda wiring: [f"--admin-listen={ports.HOST}:{wiring.ports[name + ' admin']}"]


def _api_address(wiring):
    return f"{ports.HOST}:{wiring.ports['coderd-api grpc']}"


SERVICES = [
    Service(
        "coderd-api", True,
        lambda w: [f"--grpc-listen={_api_address(w)}", "--experiments=workspace-build-updates"],
        lambda w: {"CODER_POSTGRES_URL": w.postgres.url("coder_api"), "CODER_NATS_URL": w.nats.url("coderd-api")}),
    Service(
        "pubsub-relay", False,
        lambda w: [],
        lambda w: {"CODER_POSTGRES_URL": w.postgres.url("coder_relay"), "CODER_NATS_URL": w.nats.url("pubsub-relay")}),
    Service(
        "provisionerd", False,
        lambda w: [f"--api-address={_api_address(w)}", f"--engine={w.engine}", f"--engine-config={w.engine_config}",
                   f"--work-dir={w.data.path / 'provisionerd'}"],
        lambda w: {"TF_CLI_CONFIG_FILE": str(w.engine_config)}),
    Service(
        "autostart-scheduler", False,
        lambda w: [f"--api-address={_api_address(w)}"],
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
    return [program(service.name), *service.flags(wiring), *_admin(service.name)(wiring), "--log-format=json"]


def migrate_command():
    """What brings the schema to this checkout's version; runs as the schema's owner."""
    return [program("coderd-api"), "migrate"]
