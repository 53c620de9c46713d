"""The four services as the launcher runs them: one table of flags and environment."""

import collections
import hashlib

from deploy.local import ports
from tools.dev import places

# `flags` is a function of a Wiring and the instance's name, `environment` of a Wiring.  `uses_grpc_port`: it serves
# gRPC itself.
Service = collections.namedtuple("Service", "name uses_grpc_port flags environment")

# What a service may need to know of the others.  `apis` names the instances of coderd-api, `plaintext` is how they are called.
Wiring = collections.namedtuple("Wiring", "postgres nats ports engine engine_config data provisioners apis plaintext",
                                defaults=(True,))


def _listen(wiring, instance):
    return f"{ports.HOST}:{wiring.ports[instance + ' grpc']}"


def _api_address(wiring):
    """What gRPC clients dial: with several replicas a list of all, which they balance over."""
    addresses = [_listen(wiring, instance) for instance in wiring.apis]
    return addresses[0] if len(addresses) == 1 else "ipv4:" + ",".join(addresses)


def _plaintext(wiring):
    return f"--api-plaintext={'true' if wiring.plaintext else 'false'}"


def work_dir(data, instance="provisionerd"):
    """Where the daemon keeps its jobs: short, because providers put sockets below it."""
    return f"/tmp/coder-{hashlib.sha256(f'{data.path} {instance}'.encode()).hexdigest()[:12]}"


SERVICES = [
    Service(
        "coderd-api", True,
        lambda w, instance: [f"--grpc-listen={_listen(w, instance)}", f"--access-url=http://{_listen(w, instance)}",
                             "--experiments=workspace-build-updates", f"--keyring-file={w.data.keyring}",
                             f"--service-token-file={w.data.service_token}"],
        lambda w: {"CODER_POSTGRES_URL": w.postgres.url("coder_api"), "CODER_NATS_URL": w.nats.url("coderd-api")}),
    Service(
        "pubsub-relay", False,
        lambda w, instance: [],
        lambda w: {"CODER_POSTGRES_URL": w.postgres.url("coder_relay"), "CODER_NATS_URL": w.nats.url("pubsub-relay")}),
    Service(
        "provisionerd", False,
        lambda w, instance: [f"--api-address={_api_address(w)}", _plaintext(w), f"--engine-path={w.engine}",
                             f"--engine-config={w.engine_config}", f"--work-dir={work_dir(w.data, instance)}",
                             f"--name={instance}", f"--provisioners={','.join(w.provisioners)}",
                             f"--provisioner-key-file={w.data.provisioner_key}"],
        lambda w: {}),
    Service(
        "autostart-scheduler", False,
        lambda w, instance: [f"--api-address={_api_address(w)}", _plaintext(w),
                             f"--service-token-file={w.data.service_token}"],
        lambda w: {}),
]

NAMES = [service.name for service in SERVICES]


def by_name(name):
    """The row of the table."""
    return next(service for service in SERVICES if service.name == name)


def port_names(instances):
    """The ports the instances (name -> service) need, by name."""
    names = []
    for instance, service in instances.items():
        names += ([f"{instance} grpc"] if by_name(service).uses_grpc_port else []) + [f"{instance} admin"]
    return names


def target(service_name):
    """The Bazel target of the service's binary."""
    return f"//services/{service_name}:{service_name}"


def program(service_name):
    """The built binary."""
    return places.built() / "services" / service_name / service_name


def command(service, instance, wiring, flags=()):
    """The command line that runs an instance of the service; `flags` come on top of the table's."""
    return [program(service.name), *service.flags(wiring, instance),
            f"--admin-listen={ports.HOST}:{wiring.ports[instance + ' admin']}", "--log-format=json", "--drain-delay=0s",
            *flags]


def coderctl():
    """The built command line."""
    return places.built() / "cli/coderctl/coderctl"


def build_targets():
    """Everything the suite runs."""
    return [target(name) for name in NAMES] + ["//cli/coderctl:coderctl"]


def migrate_command():
    """What brings the schema to this checkout's version; runs as the schema's owner."""
    return [program("coderd-api"), "migrate"]
