"""Runs rendered pods as a node would, but for the walls: volumes as folders, names of Services as loopback ports."""

import os
import re
import subprocess

from deploy.local import ports as local_ports
from deploy.local import services
from tests.helm import release


def binary_of(container):
    """The built program in the container's image."""
    name = container["image"].split("/")[-1].split(":")[0].split("@")[0]
    return services.program(name)


class Node:
    """What pods of one release see of each other and of their volumes."""

    def __init__(self, folder, rendered, given=None):
        """`given` maps names of Secrets that the release does not make to their data."""
        self._folder = folder
        self._release = rendered
        self.given = given or {}
        self._volumes = {}
        # (component, name of port) -> port on loopback.
        self.ports = {}

    def resolve(self, text):
        """The text with each address of a Service of the release replaced by what it leads to."""
        def replace(match):
            service = self._release.named("Service", match.group(1))
            if service is None:
                raise AssertionError(f"{match.group(0)}: the release has no such Service")
            targets = {port["port"]: port["targetPort"] for port in service["spec"]["ports"]}
            component = service["metadata"]["labels"]["app.kubernetes.io/component"]
            return f"{local_ports.HOST}:{self.ports[component, targets[int(match.group(2))]]}"
        return re.sub(r"(?:dns:///)?([a-z0-9-]+)\.coder\.svc:(\d+)", replace, text)

    def _source(self, volume):
        """File name -> content of a Secret's or ConfigMap's volume."""
        if "secret" in volume:
            name = volume["secret"]["secretName"]
            secret = self._release.named("Secret", name)
            data = secret["stringData"] if secret else self.given[name]
            return {item["path"]: data[item["key"]] for item in volume["secret"]["items"]}
        if "configMap" in volume:
            return self._release.named("ConfigMap", volume["configMap"]["name"])["data"]
        return {}

    def volume(self, component, volume):
        """The folder of a pod's volume, made when first asked for."""
        key = component, volume["name"]
        if key not in self._volumes:
            # Short: a daemon's work-dir may be 40 bytes long.
            folder = self._folder / f"v{len(self._volumes)}"
            folder.mkdir(mode=0o755)
            for name, content in self._source(volume).items():
                (folder / name).write_text(self.resolve(content))
            self._volumes[key] = folder
        return self._volumes[key]

    def command(self, component, pod, container):
        """The container's command line here."""
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = {mount["mountPath"]: self.volume(component, volumes[mount["name"]])
                  for mount in container.get("volumeMounts", [])}
        return [str(binary_of(container)), *(self._argument(argument, mounts) for argument in container["args"])]

    def _argument(self, argument, mounts):
        option, equals, value = argument.partition("=")
        for path in sorted(mounts, key=len, reverse=True):
            if value == path or value.startswith(path + "/"):
                return f"{option}={mounts[path]}{value[len(path):]}"
        return option + equals + self.resolve(value)

    def choose_ports(self, path):
        """Gives each port of each pod a free one on loopback; the file `path` is written on the way."""
        known = {(release.pod_of(workload)[0]["app.kubernetes.io/component"], port["name"])
                 for workload in self._release.workloads() for container in release.pod_of(workload)[1]["containers"]
                 for port in container.get("ports", [])}
        chosen = local_ports.assign([" ".join(name) for name in sorted(known)], path)
        self.ports = {name: chosen[" ".join(name)] for name in known}

    def listening(self, command, component, container):
        """The command with its listeners on the loopback ports of the container's ports."""
        names = {port["containerPort"]: port["name"] for port in container.get("ports", [])}

        def replace(argument):
            found = re.fullmatch(r"(--[a-z]+-listen)=.*:(\d+)", argument)
            if not found:
                return argument
            return f"{found.group(1)}={local_ports.HOST}:{self.ports[component, names[int(found.group(2))]]}"
        return [replace(argument) for argument in command]

    def run(self, component, pod, container, extra=()):
        """Runs a container to its end; returns how it ended."""
        return subprocess.run([*self.command(component, pod, container), *extra], env=environment_of(container),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def environment_of(container, **more):
    """This process's environment with the container's on top."""
    own = {variable["name"]: variable["value"] for variable in container.get("env", []) if "value" in variable}
    return dict(os.environ, **own, **more)
