"""The servers beside the suite: the usual images where they can be pulled, else ones made of Debian's packages."""

import re

from deploy.docker import base
from tools.dev import places, say

_HERE = places.ROOT / "deploy/docker"
_CHART = places.ROOT / "helm/coder-suite/values.yaml"
_COMPOSE = places.ROOT / "deploy/compose/compose.yaml"
# What compose calls each.
VARIABLES = {"postgres": "POSTGRES_IMAGE", "nats": "NATS_IMAGE", "prometheus": "PROMETHEUS_IMAGE"}


def usual():
    """Image that the chart or compose names -> target of servers.Dockerfile that can stand in for it."""
    named = dict.fromkeys(re.findall(r"\$\{\w+_IMAGE:-([^}]+)\}", _COMPOSE.read_text()))
    named |= dict.fromkeys(re.findall(r"^ +\w+Image: (\S+)$", _CHART.read_text(), re.M))
    found = {image: image.rpartition("/")[2].partition(":")[0] for image in named}
    return {image: name for image, name in found.items() if name in VARIABLES}


def _is_here(docker, image):
    return docker.has_image(image) or docker.run("pull", "--quiet", image, check=False).returncode == 0


def ensure(docker):
    """Image that the chart or compose names -> image that runs in its place: itself, or the one made here."""
    chosen = {}
    for image, name in usual().items():
        chosen[image] = image
        if not _is_here(docker, image):
            say.note(f"{image} cannot be pulled")
            chosen[image] = f"coder-suite/{name}:debian"
            _make(docker, name, chosen[image])
    return chosen


def machine(docker):
    """The image of a machine with systemd."""
    image = "coder-suite/machine:debian"
    _make(docker, "machine", image)
    return image


def _make(docker, name, image):
    if docker.has_image(image):
        return
    say.step(f"making {image} of Debian's packages")
    docker.run("build", "--quiet", "--target", name, "--build-arg", f"DEBIAN={base.ensure(docker)}", "--file",
               _HERE / "servers.Dockerfile", "--tag", image, _HERE)
