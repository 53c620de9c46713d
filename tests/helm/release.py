"""The objects of one render, and how they point at each other."""

WORKLOADS = ("Deployment", "Job", "Pod")


def name_of(thing):
    """Kind and name, for messages."""
    return f"{thing['kind']} {thing['metadata']['name']}"


def pod_of(workload):
    """(labels, spec) of the pods a workload makes."""
    if workload["kind"] == "Pod":
        return workload["metadata"]["labels"], workload["spec"]
    template = workload["spec"]["template"]
    return template["metadata"]["labels"], template["spec"]


def containers_of(pod):
    """Every container of a pod's spec."""
    return pod.get("initContainers", []) + pod["containers"]


def selects(selector, labels):
    """Whether a label selector takes a pod with these labels."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for rule in selector.get("matchExpressions", []):
        if rule["operator"] != "In":
            raise AssertionError(f"operator {rule['operator']} is not known here")
        if labels.get(rule["key"]) not in rule["values"]:
            return False
    return True


class Release:
    """What one render installs."""

    def __init__(self, objects):
        self.objects = objects

    def of(self, *kinds):
        """The objects of some kinds."""
        return [thing for thing in self.objects if thing["kind"] in kinds]

    def workloads(self):
        """All that make pods."""
        return self.of(*WORKLOADS)

    def component(self, name):
        """The Deployment of a component."""
        return next(thing for thing in self.of("Deployment")
                    if thing["metadata"]["labels"]["app.kubernetes.io/component"] == name)

    def selected(self, selector):
        """The components whose pods a selector takes."""
        return {pod_of(workload)[0]["app.kubernetes.io/component"] for workload in self.workloads()
                if selects(selector, pod_of(workload)[0])}

    def named(self, kind, name):
        """The object, or None."""
        return next((thing for thing in self.of(kind) if thing["metadata"]["name"] == name), None)

    def arrows(self):
        """(from, to, port) the network policies allow; "*" is any peer, "outside" one that is no pod of the release."""
        found = set()
        for policy in self.of("NetworkPolicy"):
            targets = self.selected(policy["spec"]["podSelector"])
            for rule in policy["spec"].get("ingress", []):
                found |= {(peer, target, _port(rule)) for target in targets for peer in self._peers(rule.get("from"))
                          if peer not in targets or len(targets) == 1}
            for rule in policy["spec"].get("egress", []):
                found |= {(target, peer, port) for target in targets for peer in self._peers(rule.get("to"))
                          for port in _ports(rule)}
        return found

    def _peers(self, peers):
        if not peers:
            return {"*"}
        found = set()
        for peer in peers:
            own = set(peer) == {"podSelector"}
            found |= self.selected(peer["podSelector"]) if own else {"outside"}
        return found


def _ports(rule):
    return {port["port"] for port in rule["ports"]}


def _port(rule):
    (port,) = _ports(rule)
    return port
