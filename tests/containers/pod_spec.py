"""What a rendered pod asks of a container engine.  A field that is not known here is an error, never ignored."""

import re

# Fields that concern a cluster's scheduler, its API or its registry, and nothing that one container can show.
_ELSEWHERE_POD = {"serviceAccountName", "automountServiceAccountToken", "enableServiceLinks", "affinity",
                  "topologySpreadConstraints", "restartPolicy", "activeDeadlineSeconds"}
_POD = _ELSEWHERE_POD | {"containers", "initContainers", "volumes", "securityContext", "terminationGracePeriodSeconds"}
_CONTAINER = {"name", "image", "imagePullPolicy", "args", "command", "env", "ports", "startupProbe", "livenessProbe",
              "readinessProbe", "securityContext", "resources", "volumeMounts"}
_POD_SECURITY = {"fsGroup", "fsGroupChangePolicy", "runAsGroup", "runAsNonRoot", "runAsUser", "seccompProfile"}
_CONTAINER_SECURITY = {"allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"}
_UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def check_known(fields, known, of):
    """Refuses what would otherwise go unproven."""
    unknown = set(fields) - known
    if unknown:
        raise AssertionError(f"{of}: {', '.join(sorted(unknown))}: not known here; teach tests/containers what it means")


def quantity(text):
    """Bytes of a memory quantity."""
    number, unit = re.fullmatch(r"(\d+)(Ki|Mi|Gi)", text).groups()
    return int(number) * _UNITS[unit]


def check_pod(pod):
    """Refuses fields that are not known, in the pod and in each of its containers."""
    check_known(pod, _POD, "pod")
    check_known(pod["securityContext"], _POD_SECURITY, "securityContext of a pod")
    for container in pod.get("initContainers", []) + pod["containers"]:
        check_known(container, _CONTAINER, container["name"])
        check_known(container["securityContext"], _CONTAINER_SECURITY, f"securityContext of {container['name']}")
        check_known(container["resources"].get("limits", {}), {"memory"}, f"limits of {container['name']}")


def security_arguments(pod, container):
    """docker run's arguments for who the container is and what it may."""
    of_pod, own = pod["securityContext"], container["securityContext"]
    assert of_pod["runAsNonRoot"] is True and of_pod["runAsUser"] != 0, "a container would run as root"
    assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}, of_pod["seccompProfile"]
    arguments = [f"--user={of_pod['runAsUser']}:{of_pod['runAsGroup']}", f"--group-add={of_pod['fsGroup']}"]
    arguments += [f"--cap-drop={name}" for name in own["capabilities"]["drop"]]
    arguments += [f"--cap-add={name}" for name in own["capabilities"].get("add", [])]
    if own["readOnlyRootFilesystem"]:
        arguments.append("--read-only")
    if own["allowPrivilegeEscalation"] is False:
        arguments.append("--security-opt=no-new-privileges")
    memory = quantity(container["resources"]["limits"]["memory"])
    return [*arguments, f"--memory={memory}", f"--memory-swap={memory}"]


def environment_arguments(container, secret_data):
    """docker run's arguments for the environment; `secret_data` maps a Secret's name to its data."""
    arguments = []
    for variable in container.get("env", []):
        if "value" in variable:
            value = variable["value"]
        else:
            (source, reference), = variable["valueFrom"].items()
            assert source == "secretKeyRef", f"{variable['name']}: {source} is not known here"
            value = secret_data(reference["name"])[reference["key"]]
        arguments.append(f"--env={variable['name']}={value}")
    return arguments


def command_arguments(container):
    """(what goes before the image, what goes after it)."""
    command, arguments = container.get("command", []), container.get("args", [])
    before = [f"--entrypoint={command[0]}"] if command else []
    return before, [*command[1:], *arguments]


def port_of(container, name):
    """The number of a port, named or not."""
    if isinstance(name, int):
        return name
    return next(port["containerPort"] for port in container["ports"] if port["name"] == name)
