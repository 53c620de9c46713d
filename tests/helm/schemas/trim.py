"""Makes the schemas beside this file: of the kinds the chart renders, without prose, every object closed.

  python3 -m tests.helm.schemas.trim DEFINITIONS.json.gz CRD.yaml...

DEFINITIONS is the OpenAPI of Kubernetes, each CRD a CustomResourceDefinition.
"""

import gzip
import json
import pathlib
import sys

import yaml

HERE = pathlib.Path(__file__).parent
_PREFIX = "#/definitions/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
# kind -> definition
_KINDS = {
    "v1.ConfigMap": "core.v1", "v1.PersistentVolumeClaim": "core.v1", "v1.Pod": "core.v1", "v1.Secret": "core.v1",
    "v1.Service": "core.v1", "v1.ServiceAccount": "core.v1", "apps/v1.Deployment": "apps.v1",
    "autoscaling/v2.HorizontalPodAutoscaler": "autoscaling.v2", "batch/v1.Job": "batch.v1",
    "networking.k8s.io/v1.Ingress": "networking.v1", "networking.k8s.io/v1.NetworkPolicy": "networking.v1",
    "policy/v1.PodDisruptionBudget": "policy.v1", "rbac.authorization.k8s.io/v1.Role": "rbac.v1",
    "rbac.authorization.k8s.io/v1.RoleBinding": "rbac.v1",
}
_KEPT = {"$ref", "additionalProperties", "allOf", "anyOf", "enum", "items", "maxItems", "maxLength", "maximum", "minItems",
         "minLength", "minimum", "oneOf", "not", "pattern", "properties", "required", "type"}


def closed(schema):
    """The schema without prose, with no property allowed that it does not name."""
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    kept = {}
    for key, value in schema.items():
        if key not in _KEPT:
            continue
        if key == "properties":
            value = {name: closed(part) for name, part in value.items()}
        elif key in ("allOf", "anyOf", "oneOf"):
            value = [closed(part) for part in value]
        elif isinstance(value, dict):
            value = closed(value)
        kept[key] = value
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return kept
    if "properties" in kept and "additionalProperties" not in kept and kept.get("type") == "object":
        kept["additionalProperties"] = False
    return kept


def _references(schema):
    if isinstance(schema, list):
        return {name for part in schema for name in _references(part)}
    if not isinstance(schema, dict):
        return set()
    found = {name for part in schema.values() for name in _references(part)}
    if isinstance(schema.get("$ref"), str):
        found.add(schema["$ref"][len(_PREFIX):])
    return found


def kubernetes(definitions):
    """Definitions of our kinds and of what they are made of."""
    kinds = {kind: f"io.k8s.api.{package}.{kind.rsplit('.', 1)[1]}" for kind, package in _KINDS.items()}
    wanted, found = set(kinds.values()) | {_META}, {}
    while wanted:
        name = wanted.pop()
        found[name] = closed(definitions[name])
        wanted |= _references(found[name]) - set(found)
    # Amounts may be written as numbers, too.
    found["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"type": ["string", "number"]}
    return {"kinds": {kind: {"$ref": _PREFIX + name} for kind, name in kinds.items()}, "definitions": found}


def custom(resource):
    """(group/version.Kind, schema) of a CRD's versions."""
    spec = resource["spec"]
    for version in spec["versions"]:
        schema = closed(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"$ref": _PREFIX + _META}
        schema["properties"].pop("status", None)
        yield f"{spec['group']}/{version['name']}.{spec['names']['kind']}", schema


def main(arguments):
    """Writes kubernetes.json and custom.json."""
    with gzip.open(arguments[0]) as stream:
        base = kubernetes(json.load(stream)["definitions"])
    kinds = {kind: schema for path in arguments[1:]
             for kind, schema in custom(yaml.safe_load(pathlib.Path(path).read_text()))}
    for name, content in (("kubernetes.json", base), ("custom.json", {"kinds": kinds})):
        (HERE / name).write_text(json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
