"""What is made of the chart's values.yaml and its comments: values.schema.json and the table in README.md."""

import collections
import json
import re

import yaml

COMPONENTS = {"coderdApi": "coderd-api", "provisionerd": "provisionerd", "pubsubRelay": "pubsub-relay",
              "autostartScheduler": "autostart-scheduler"}
TABLE_BEGINS, TABLE_ENDS = "<!-- values: made by ./dev helm --update -->", "<!-- end of values -->"

# A commented key: its dotted path, its comment, its default.
Row = collections.namedtuple("Row", "path text default")

_LABELS = {"additionalProperties": {"type": "string"}}
_NAMES = {"items": {"type": "string", "minLength": 1}}
_COUNT = {"minimum": 0}
_POSITIVE = {"minimum": 1}
# What a key's default does not tell of it.
RULES = {
    "commonLabels": _LABELS, "commonAnnotations": _LABELS,
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]}, "image.pullSecrets": _NAMES,
    "accessUrl": {"pattern": "^(https?://.+)?$"},
    "listenHost": {"enum": ["0.0.0.0", "[::]"]},
    "api.address": {"pattern": "^(.+:[0-9]+)?$"},
    "tls.certManager.dnsNames": _NAMES,
    "migrations.mode": {"enum": ["hook", "job", "init", "none"]},
    "migrations.activeDeadlineSeconds": _POSITIVE, "migrations.backoffLimit": _COUNT, "migrations.annotations": _LABELS,
    "defaults.replicas": _COUNT, "defaults.drainTimeoutSeconds": {"minimum": 5},
    "defaults.image.digest": {"pattern": "^(sha256:[0-9a-f]{64})?$"},
    "defaults.extraArgs": {"items": {"type": "string", "pattern": "^--"}},
    "defaults.options": {"additionalProperties": {"type": ["string", "integer", "boolean"]}},
    "defaults.terminationGracePeriodSeconds": {"type": ["integer", "null"], "minimum": 1},
    "defaults.podAnnotations": _LABELS, "defaults.podLabels": _LABELS, "defaults.annotations": _LABELS,
    "defaults.serviceAccount.annotations": _LABELS, "defaults.nodeSelector": _LABELS,
    "defaults.autoscaling.minReplicas": _POSITIVE, "defaults.autoscaling.maxReplicas": _POSITIVE,
    "coderdApi.experiments": _NAMES, "coderdApi.drainDelaySeconds": _COUNT,
    "coderdApi.service.type": {"enum": ["ClusterIP", "LoadBalancer", "NodePort"]},
    "coderdApi.service.port": {"minimum": 1, "maximum": 65535},
    "provisionerd.rbac.workspaceNamespaces": _NAMES,
    "provisionerd.keda.minReplicaCount": _COUNT, "provisionerd.keda.maxReplicaCount": _POSITIVE,
    "podMonitor.labels": _LABELS, "serviceMonitor.labels": _LABELS, "prometheusRule.labels": _LABELS,
    "dashboards.labels": _LABELS, "dashboards.annotations": _LABELS,
    "extraObjects": {"items": {"type": ["string", "object"]}},
}
# Keys the templates refuse with advice, so that the schema lets them through to that.
_REFUSED_WITH_ADVICE = ("coder", "postgres.url", "nats.url")


def rows(text):
    """The commented keys of values.yaml and the sections they are in, in order; a section may have no comment."""
    values, found, comment, stack = yaml.safe_load(text), [], [], []
    for line in text.splitlines():
        key = re.match(r"( *)([A-Za-z]\w*):", line)
        if re.match(r" *# ", line):
            comment.append(line.split("# ", 1)[1])
            continue
        if key:
            depth = len(key.group(1))
            stack = [(at, name) for at, name in stack if at < depth] + [(depth, key.group(2))]
            path = ".".join(name for _, name in stack)
            found.append(Row(path, " ".join(comment), _at(values, path)))
        comment = []
    commented = [row.path for row in found if row.text]
    return [row for row in found if row.text or any(path.startswith(f"{row.path}.") for path in commented)]


def _at(values, path):
    for name in path.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def uncommented(text):
    """Keys that nobody explains: neither a comment above, nor one above what they are part of, nor the defaults'."""
    explained = {row.path for row in rows(text) if row.text}

    def walk(values, path):
        name, _, rest = path.partition(".")
        if name in COMPONENTS and f"defaults.{rest}" in explained:
            return []
        has_commented_parts = any(other.startswith(f"{path}.") for other in explained)
        if path in explained and not has_commented_parts:
            return []
        if not isinstance(values, dict) or not values:
            return [] if path in explained else [path]
        return [leaf for part, value in values.items() for leaf in walk(value, f"{path}.{part}".lstrip("."))]

    return walk(yaml.safe_load(text), "")


def _type_of(default):
    for kind, name in ((bool, "boolean"), (int, "integer"), (str, "string"), (list, "array"), (dict, "object")):
        if isinstance(default, kind):
            return {"type": name}
    return {}


def _section(known, path):
    """The closed object of a key with commented keys below it."""
    properties = {}
    for row in known:
        name = row.path[len(path) + 1:] if path else row.path
        if (path and not row.path.startswith(path + ".")) or "." in name:
            continue
        properties[name] = _property(known, row)
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _property(known, row):
    described = {"description": row.text} if row.text else {}
    if any(other.path.startswith(row.path + ".") for other in known):
        return {**described, **_section(known, row.path)}
    return {**described, **_type_of(row.default), **RULES.get(row.path, {})}


def schema(text, options):
    """values.schema.json as text; `options` maps each binary to the names it knows."""
    known = rows(text)
    root = _section(known, "")
    shared = root["properties"]["defaults"]["properties"]
    for key, component in COMPONENTS.items():
        section = root["properties"][key]
        section.update({"type": "object", "additionalProperties": False})
        own = {name: shared.get(name, {}) | value for name, value in section.get("properties", {}).items()}
        section["properties"] = {name: {"$ref": f"#/properties/defaults/properties/{name}"} for name in shared} | own
        section["properties"]["options"] = {
            "description": f"Options of {component} by their names in its --help.", "type": "object",
            "additionalProperties": False,
            "properties": {name: {"type": ["string", "integer", "boolean"]} for name in options[component]}}
    root["properties"] |= {
        "global": {"description": "What an umbrella chart shares; not used here.", "type": "object"},
        "enabled": {"description": "An umbrella chart's condition; not used here.", "type": "boolean"},
        "tags": {"description": "An umbrella chart's tags; not used here.", "type": "object"}}
    root["patternProperties"] = {"^x-": {"description": "Yours, such as anchors of YAML."}}
    for path in _REFUSED_WITH_ADVICE:
        section, _, name = path.rpartition(".")
        place = root["properties"][section] if section else root
        place["properties"][name] = {"description": "Not a value of this chart; setting it explains what to do."}
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of coder-suite"}
    return json.dumps(head | root, indent=2) + "\n"


def _shown(default):
    text = json.dumps(default, separators=(", ", ": ")).replace("|", "\\|")
    return f"`{text}`" if len(text) <= 60 else "see `values.yaml`"


def table(text):
    """The values as a Markdown table, one row a key that is no section."""
    known = rows(text)
    lines = ["| value | default | what it is |", "|---|---|---|"]
    for row in known:
        if row.text and not any(other.path.startswith(row.path + ".") for other in known):
            lines.append(f"| `{row.path}` | {_shown(row.default)} | {row.text.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def with_table(readme, text):
    """README.md with its table made anew."""
    head, rest = readme.split(TABLE_BEGINS)
    _, tail = rest.split(TABLE_ENDS)
    return f"{head}{TABLE_BEGINS}\n{table(text)}\n{TABLE_ENDS}{tail}"


def option_names(help_text):
    """The options a --help lists, without the dashes."""
    return re.findall(r"^  --([a-z-]+)=", help_text, re.M)
