"""The engine that runs templates, and where it finds the coder provider.

Templates name the provider as coder/coder.  With a registry at hand the engine
downloads it as usual; without one it is taken from a filesystem mirror made of
the provider that ./dev builds.
"""

import json
import os
import pathlib
import platform
import shutil
import subprocess
import urllib.error
import urllib.request

from tools.dev import go_tools, places, say

REGISTRIES = ("registry.opentofu.org", "registry.terraform.io")
_OLDEST, _NEWEST_TERRAFORM = (1, 6), (1, 14)


def _minor(version):
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def accepts(name, version):
    """Whether the suite runs with this engine: OpenTofu from 1.6, Terraform 1.6 to 1.14."""
    if name == "tofu":
        return _minor(version) >= _OLDEST
    return _OLDEST <= _minor(version) <= _NEWEST_TERRAFORM


def _version_of(program):
    env = dict(os.environ, CHECKPOINT_DISABLE="1")
    env.pop("TF_CLI_CONFIG_FILE", None)
    found = subprocess.run([program, "version", "-json"], capture_output=True, text=True, env=env)
    try:
        return json.loads(found.stdout)["terraform_version"]
    except (ValueError, KeyError):
        return None


def find():
    """The engine to use: an acceptable tofu or terraform from PATH, else the pinned OpenTofu."""
    for name in ("tofu", "terraform"):
        program = shutil.which(name)
        version = _version_of(program) if program else None
        if version and accepts(name, version):
            say.note(f"engine: {name} {version} from {program}")
            return pathlib.Path(program)
    program = go_tools.ensure("tofu")
    say.note(f"engine: OpenTofu {go_tools.pinned_version('tofu')} built by ./dev")
    return program


def registry_answers(registry, timeout_s=3.0):
    """Whether the provider registry can be asked for the coder provider's versions."""
    url = f"https://{registry}/v1/providers/coder/coder/versions"
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _registry_of(program):
    return REGISTRIES[1] if program.name == "terraform" else REGISTRIES[0]


def make_mirror(provider, version, folder):
    """Lays the provider out as a filesystem mirror under `folder`, for both registries' names."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    for registry in REGISTRIES:
        place = folder / registry / "coder/coder" / version / f"linux_{machine}"
        place.mkdir(parents=True, exist_ok=True)
        target = place / f"terraform-provider-coder_v{version}"
        if not target.exists():
            fresh = target.with_name(f"{target.name}.{os.getpid()}")
            shutil.copy(provider, fresh)
            fresh.rename(target)
    return folder


def render_config(mirror):
    """The engine's configuration file; `mirror` None leaves every provider to its registry."""
    if mirror is None:
        return "disable_checkpoint = true\n"
    providers = json.dumps([f"{registry}/coder/coder" for registry in REGISTRIES])
    return f"""disable_checkpoint = true

provider_installation {{
  filesystem_mirror {{
    path    = {json.dumps(str(mirror))}
    include = {providers}
  }}
  direct {{
    exclude = {providers}
  }}
}}
"""


def _choose_mirror(program):
    """Decides where the coder provider comes from, says so, and returns the mirror or None."""
    registry = _registry_of(program)
    if registry_answers(registry):
        say.note(f"coder provider: from {registry}, as in any deployment")
        return None
    say.note(f"coder provider: {registry} does not answer, so a local mirror of the real provider is used")
    version = go_tools.pinned_version("provider")
    provider = go_tools.ensure("provider")
    return make_mirror(provider, version, provider.parent / "mirror")


def prepare():
    """Returns (engine program, its configuration file); builds what is missing.

    The file must be given to every run as TF_CLI_CONFIG_FILE: an inherited
    value may point anywhere.
    """
    program = find()
    mirror = _choose_mirror(program)
    name = "registry.tfrc" if mirror is None else "mirror.tfrc"
    config = places.cache_dir() / "tools" / name
    config.parent.mkdir(parents=True, exist_ok=True)
    fresh = config.with_name(f"{config.name}.{os.getpid()}")
    fresh.write_text(render_config(mirror))
    fresh.rename(config)
    return program, config
