"""The images themselves: what they carry, what they do not, and that the list beside each tells all of it."""

import json
import pathlib
import subprocess
import tarfile

from deploy.docker import images
from deploy.local import services
from tools.dev import say

_SHELLS = {"sh", "bash", "dash", "busybox", "apt-get", "dpkg"}
_WRITABLE_BY_ALL = 0o002
_SPECIAL = 0o6000


def _files(docker, image):
    """(name, member) of everything in the image."""
    container = docker.output("create", image)
    try:
        with subprocess.Popen(["docker", "export", container], env=docker.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE) as export:
            with tarfile.open(fileobj=export.stdout, mode="r|") as archive:
                return [(member.name, member) for member in archive]
    finally:
        docker.run("rm", container)


def _check_files(name, files):
    for path, member in files:
        if member.isfile() and member.mode & _SPECIAL:
            raise AssertionError(f"{name}: {path} runs as somebody else")
        if not member.issym() and member.mode & _WRITABLE_BY_ALL and not member.mode & 0o1000 and not path.startswith("dev/"):
            raise AssertionError(f"{name}: everybody may write {path}")
    programs = {pathlib.PurePath(path).name for path, member in files if member.isfile() and member.mode & 0o111}
    if name == "provisionerd":
        if not {"tofu", "git", "dash"} <= programs:
            raise AssertionError(f"{name} lacks what templates need")
    elif programs & _SHELLS:
        raise AssertionError(f"{name} has {programs & _SHELLS}")


def _check_bill(docker, name, files, folder):
    document = json.loads((folder / f"{name}.cdx.json").read_text())
    listed = {component["name"] for component in document["components"]}
    needed = {name, "libc6", "libgrpc++1.51", "ca-certificates", "tzdata", "libgrpc++-dev", "libboost1.81-dev"}
    if name == "provisionerd":
        needed |= {"tofu", "github.com/hashicorp/hcl/v2", "terraform-provider-coder"}
    if not needed <= listed:
        raise AssertionError(f"{name}'s list lacks {needed - listed}")
    for path, _ in files:
        # Each shared library in the image is of a package on the list.
        if "/lib/x86_64-linux-gnu/libprotobuf.so" in path and "libprotobuf32" not in listed:
            raise AssertionError(f"{name}'s list lacks the package of {path}")
    say.note(f"{name}: {int(docker.output('image', 'inspect', '--format={{.Size}}', images.reference(name))) / 1e6:.0f} MB, "
             f"{len(document['components'])} components listed")


def _check_configuration(docker, name):
    (told,) = json.loads(docker.output("image", "inspect", images.reference(name)))
    configuration = told["Config"]
    if configuration["User"] != "65532:65532":
        raise AssertionError(f"{name} runs as {configuration['User'] or 'root'}")
    for label in ("title", "description", "version", "revision", "created", "licenses"):
        if not configuration["Labels"].get(f"org.opencontainers.image.{label}"):
            raise AssertionError(f"{name} has no label {label}")
    told = docker.output("run", "--rm", "--read-only", "--network=none", "--cap-drop=ALL", images.reference(name), "--version")
    if not told.startswith(f"{name} {images.version()} "):
        raise AssertionError(f"{name} says it is {told}")


def run(docker, folder):
    """Checks each; `folder` has the lists."""
    say.step("images: users, files, labels, lists")
    for name in services.NAMES:
        _check_configuration(docker, name)
        files = _files(docker, images.reference(name))
        _check_files(name, files)
        _check_bill(docker, name, files, folder)
