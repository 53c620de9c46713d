"""`./dev images`: the images of the four services, and what is in each."""

import pathlib
import platform
import re
import shutil
import subprocess

from deploy.docker import base, engine, sbom
from deploy.local import services
from tools.dev import bazel, go_tools, places, say
from tools.dev import engine as template_engine

HERE = places.ROOT / "deploy/docker"
# As the chart names them by default.
REGISTRY = "ghcr.io/coder-suite"
# What each does, in the words of README.md's table.
_DESCRIPTIONS = {
    "coderd-api": "Users, templates, workspaces and builds: the public, provisioner and lifecycle APIs of coder-suite",
    "provisionerd": "Runs template imports and workspace builds of coder-suite, with OpenTofu",
    "pubsub-relay": "Gives the committed build events of coder-suite their one order",
    "autostart-scheduler": "Decides what every workspace of coder-suite does next",
}
# Programs of others in provisionerd's image: name there -> folder of tools/go.
_FOREIGN = {"tofu": "tofu", "terraform-provider-coder": "provider"}


def version():
    """The suite's version, the images' tag."""
    return (places.ROOT / "VERSION").read_text().strip()


def reference(name, registry=REGISTRY):
    """What an image is called."""
    return f"{registry}/{name}:{version()}"


def _git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=places.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def _made():
    """When the sources were committed."""
    return _git("log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd") or "1970-01-01T00:00:00Z"


def labels(name, debian):
    """The image's OCI annotations."""
    revision = _git("rev-parse", "HEAD") or "unknown"
    if _git("status", "--porcelain"):
        revision += "-dirty"
    return {f"org.opencontainers.image.{key}": value for key, value in {
        "title": name, "description": _DESCRIPTIONS[name], "version": version(), "revision": revision, "created": _made(),
        "licenses": "Apache-2.0", "vendor": "coder-suite", "base.name": debian}.items()}


def _copy(source, target):
    """Copies without debug information, which is two thirds of a program; names for stack traces stay."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    subprocess.run(["strip", "--strip-debug", "-o", str(target), str(source)], check=True)


def stage(folder):
    """Fills the build context."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for name in services.NAMES:
        _copy(services.program(name), folder / "programs" / name)
    for name in ("tofu", "provider"):
        go_tools.ensure(name)
    shutil.copy(go_tools.program_path("tofu"), folder / "programs/tofu")
    mirror = template_engine.make_mirror(go_tools.program_path("provider"), go_tools.pinned_version("provider"), folder / "providers")
    # The image has OpenTofu alone, which reads names without a registry as its own.
    shutil.rmtree(mirror / "registry.terraform.io")
    shutil.copy(HERE / "collect.sh", folder / "collect.sh")
    return folder


def context():
    """The folder that `build` fills and builds from."""
    return places.cache_dir() / "images" / platform.machine()


def _build(docker, name, debian, folder, registry):
    say.step(f"building {reference(name, registry)}")
    described = [part for key, value in labels(name, debian).items() for part in ("--label", f"{key}={value}")]
    docker.run("build", "--quiet", "--target", name, "--build-arg", f"DEBIAN={debian}", "--file", HERE / "Dockerfile", *described,
               "--tag", reference(name, registry), folder)


def _packages_in(docker, image):
    """What dpkg says inside the image, read without running it."""
    container = docker.output("create", image)
    try:
        taken = subprocess.run(["docker", "cp", f"{container}:/var/lib/dpkg", "-"], env=docker.environment,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
    finally:
        docker.run("rm", container)
    text = subprocess.run(["tar", "-xO", "--wildcards", "dpkg/status", "dpkg/status.d/*", "-f", "-"], input=taken,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
    # Each file of status.d is a paragraph of its own, and tar puts nothing between them.
    return sbom.read_packages(re.sub(r"(?m)^Package: ", "\nPackage: ", text))


def _built_with(name):
    """Debian's packages with headers that Bazel says the service is compiled with."""
    text = (places.ROOT / "bazel/system_libs.bzl").read_text()
    packages = dict(re.findall(r'system_library\(\s*name = "(\w+)",\s*deb = "([^"]+)"', text))
    labels_ = bazel.query(f'filter("^@.*//:lib$", deps({services.target(name)}))')
    wanted = sorted({packages[label[1:].partition("//")[0]] for label in labels_})
    told = subprocess.run(["dpkg-query", "-W", "-f=${Package} ${Version} ${Architecture}\n", *wanted], stdout=subprocess.PIPE,
                          text=True, check=True).stdout
    return [sbom.Package(*line.split()) for line in told.splitlines()]


def _modules(program):
    told = subprocess.run([go_tools.find_go(), "version", "-m", str(program)], stdout=subprocess.PIPE, text=True, check=True)
    return sbom.read_modules(told.stdout)


def bill(docker, name, folder, registry=REGISTRY):
    """What is in the image, as the text of an SBOM."""
    document = sbom.Document(f"{registry}/{name}", version(), _made())
    document.add_packages(_packages_in(docker, reference(name, registry)))
    document.add_program(name, version(), (folder / "programs" / name).read_bytes(), _built_with(name))
    if name == "provisionerd":
        for program, tool in _FOREIGN.items():
            path = go_tools.program_path(tool)
            document.add_program(program, go_tools.pinned_version(tool), path.read_bytes(), modules=_modules(path))
    return document.text()


def build(docker, names=None, registry=REGISTRY, output=None, save=False, optimized=True):
    """Builds the images; with `output` writes each one's SBOM there, and itself when `save`."""
    debian = base.ensure(docker)
    bazel.build([*(["--config=opt"] if optimized else []), *services.build_targets()])
    folder = stage(context())
    for name in names or services.NAMES:
        _build(docker, name, debian, folder, registry)
        if output is None:
            continue
        output.mkdir(parents=True, exist_ok=True)
        (output / f"{name}.cdx.json").write_text(bill(docker, name, folder, registry))
        if save:
            docker.run("save", "--output", output / f"{name}.tar", reference(name, registry))


def _size(docker, name):
    return int(docker.output("image", "inspect", "--format={{.Size}}", name)) / 1e6


def run(arguments):
    """The verb."""
    output = pathlib.Path(arguments.output)
    unknown = set(arguments.names) - set(services.NAMES)
    if unknown:
        raise say.Problem(f"there is no image of {', '.join(sorted(unknown))}; there are {', '.join(services.NAMES)}")
    with engine.running() as docker:
        names = arguments.names or services.NAMES
        build(docker, names, arguments.registry, output, arguments.save)
        for name in names:
            image = reference(name, arguments.registry)
            print(f"{image}\t{_size(docker, image):.0f} MB\t{output / name}.cdx.json", flush=True)
    return 0


def add_verbs(add, verbs):
    """Declares the verb; `add` makes one parser."""
    parser = add(verbs, "images", run,
                 "Builds the images of the four services with Docker, and writes beside each what is in it (CycloneDX).\n"
                 "Where no Debian image can be pulled, one is made from Debian's packages. Where no Docker daemon runs, root\n"
                 "gets one of its own for as long as this takes; take its images away with --save.",
                 "./dev images", "./dev images provisionerd", "./dev images --registry registry.example.com/coder --save")
    parser.add_argument("names", nargs="*", metavar="service", help="which (default: all)")
    parser.add_argument("--registry", default=REGISTRY, help=f"registry and folder of their names (default: {REGISTRY})")
    parser.add_argument("--output", default="dist/images", metavar="DIR", help="where what is written goes (default: dist/images)")
    parser.add_argument("--save", action="store_true", help="also write each image as an archive for `docker load`")
