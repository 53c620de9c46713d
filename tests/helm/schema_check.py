"""Checks objects against the closed schemas of tests/helm/schemas."""

import json
import re

from tests.helm import chart

_PREFIX = "#/definitions/"
_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


class Schemas:
    """What Kubernetes and the operators know of the kinds the chart renders."""

    def __init__(self):
        base = json.loads((chart.TESTS / "schemas/kubernetes.json").read_text())
        custom = json.loads((chart.TESTS / "schemas/custom.json").read_text())
        self.definitions = base["definitions"]
        self.kinds = base["kinds"] | custom["kinds"]

    def complaints(self, thing):
        """What is wrong with a rendered object, a sentence each."""
        kind = f"{thing.get('apiVersion')}.{thing.get('kind')}"
        if kind not in self.kinds:
            return [f"{kind} is not among the schemas; see tests/helm/schemas/README.md"]
        return list(self._check(thing, self.kinds[kind], ""))

    def _check(self, value, schema, path):
        if "$ref" in schema:
            yield from self._check(value, self.definitions[schema["$ref"][len(_PREFIX):]], path)
            return
        yield from _check_scalar(value, schema, path)
        if isinstance(value, dict):
            yield from self._check_object(value, schema, path)
        if isinstance(value, list):
            for at, item in enumerate(value):
                yield from self._check(item, schema.get("items", {}), f"{path}[{at}]")
        for part in schema.get("allOf", []):
            yield from self._check(value, part, path)
        for choice in ("anyOf", "oneOf"):
            parts = schema.get(choice)
            if parts and all(list(self._check(value, part, path)) for part in parts):
                yield f"{path}: fits none of {choice}"

    def _check_object(self, value, schema, path):
        properties, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
        for name in schema.get("required", []):
            if name not in value:
                yield f"{path}.{name}: is missing"
        for name, item in value.items():
            if name in properties:
                yield from self._check(item, properties[name], f"{path}.{name}")
            elif rest is False:
                yield f"{path}.{name}: no such field"
            elif isinstance(rest, dict):
                yield from self._check(item, rest, f"{path}.{name}")

    def write_for_kubeconform(self, folder):
        """A schema file for each kind; returns the --schema-location that finds them."""
        for kind, schema in self.kinds.items():
            version, _, name = kind.rpartition(".")
            suffix = "-".join([part.split(".")[0] for part in version.split("/")])
            (folder / f"{name.lower()}-{suffix}.json").write_text(json.dumps(
                {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": self.definitions, "allOf": [schema]}))
        return str(folder) + "/{{.ResourceKind}}{{.KindSuffix}}.json"


def _is_a(value, name):
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _check_scalar(value, schema, path):
    types = schema.get("type")
    names = types if isinstance(types, list) else [types] if types else []
    if names and not any(_is_a(value, name) for name in names):
        yield f"{path}: {value!r} is no {' or '.join(names)}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is not one of {schema['enum']}"
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{path}: {value!r} does not match {schema['pattern']}"
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            yield f"{path}: {value!r} is too short or too long"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            yield f"{path}: {value} is out of range"
    if isinstance(value, list) and not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{path}: has {len(value)} items, too few or too many"
