"""The Debian that images are built on: pulled, or made here where no registry can be reached."""

import subprocess

from tools.dev import places, say

PULLED = "docker.io/library/debian:bookworm-slim"
_MADE = "coder-suite/debian:bookworm"
_SOURCES = ["deb http://deb.debian.org/debian bookworm main",
            "deb http://deb.debian.org/debian bookworm-updates main",
            "deb http://deb.debian.org/debian-security bookworm-security main"]


def _make(docker):
    say.step("making a Debian base image from packages (once; about two minutes)")
    subprocess.run([str(places.ROOT / "dev"), "packages", "base-image"], check=True)
    command = ["mmdebstrap", "--quiet", "--variant=apt", "--include=ca-certificates",
               # As in the slim image: an image needs no manuals.
               "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
               "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright",
               "bookworm", "-", *_SOURCES]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as making:
        taken = subprocess.run(["docker", "import", "-", f"{_MADE}.new"], stdin=making.stdout, env=docker.environment,
                               stdout=subprocess.DEVNULL)
    if making.returncode != 0 or taken.returncode != 0:
        docker.run("rmi", f"{_MADE}.new", check=False)
        raise say.Problem("no Debian base image: none could be pulled and mmdebstrap could not make one; its message is above")
    docker.run("tag", f"{_MADE}.new", _MADE)
    docker.run("rmi", f"{_MADE}.new")


def ensure(docker):
    """The name of a Debian base image that is here."""
    for name in (PULLED, _MADE):
        if docker.has_image(name):
            return name
    say.step(f"pulling {PULLED}")
    if docker.run("pull", "--quiet", PULLED, check=False).returncode == 0:
        return PULLED
    say.note("no registry can be reached")
    _make(docker)
    return _MADE
