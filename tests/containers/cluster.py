"""As much of a cluster as one release needs: a network with names, volumes, Secrets, and Deployments that roll."""

import os
import pathlib
import shutil
import tempfile

from tests.containers import names, pod
from tests.helm import release
from tools.dev import say

_NAMESPACE = "coder"


class Cluster:
    """Runs the workloads of one release as containers."""

    def __init__(self, docker, rendered, images):
        """`rendered` is a Release, `images` maps images of the manifests to those that stand in for them."""
        self.docker = docker
        self.release = rendered
        self._images = images
        # Name of a Secret that the release does not make -> its data.
        self.given = {}
        self.pods = []
        self._gone = []
        self._volumes = {}
        self._count = 0
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="cc-", dir="/tmp"))
        self._folder.chmod(0o755)
        self.network = f"coder-suite-test-{os.getpid()}"
        docker.run("network", "create", self.network)
        self.gateway = docker.output("network", "inspect", "--format={{(index .IPAM.Config 0).Gateway}}", self.network)
        self._names = names.Names(self.gateway, self._addresses_of)
        self._ways = []

    def image(self, name):
        """What runs for an image of the manifests."""
        return self._images.get(name, name)

    def ready(self, component):
        """Addresses of the component's ready pods."""
        return [each.address for each in self.pods if each.component == component and each.ready]

    def _service(self, name):
        parts = name.split(".")
        if parts[1:] not in ([_NAMESPACE, "svc"], [_NAMESPACE, "svc", "cluster", "local"]):
            return None
        return self.release.named("Service", parts[0])

    def _addresses_of(self, name):
        service = self._service(name)
        if service is None:
            return None
        return self.ready(service["metadata"]["labels"]["app.kubernetes.io/component"])

    def check_services(self):
        """A name leads to pods, not to an address of its own, so ports of Services must be those of their pods."""
        for service in self.release.of("Service"):
            component = service["metadata"]["labels"]["app.kubernetes.io/component"]
            _, spec = release.pod_of(self.release.component(component))
            (container,) = spec["containers"]
            numbers = {port["name"]: port["containerPort"] for port in container["ports"]}
            for port in service["spec"]["ports"]:
                if numbers[port["targetPort"]] != port["port"]:
                    raise AssertionError(f"Service {service['metadata']['name']}: {port} is not the pod's")

    def way_to(self, component, port):
        """host:port here that leads to ready pods of the component, as a Service does from outside."""
        way = names.Way(lambda: self.ready(component), port)
        self._ways.append(way)
        return f"127.0.0.1:{way.port}"

    def secret(self, name):
        """A Secret's data, as text."""
        made = self.release.named("Secret", name)
        return made["stringData"] if made else self.given[name]

    def _fill(self, folder, files, mode, group):
        for name, content in files.items():
            path = folder / name
            path.write_text(content)
            os.chown(path, 0, group)
            path.chmod(mode)

    def volume(self, of, volume, group):
        """The folder of a pod's volume; a claim's is the same for every pod that claims it."""
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        key = claim or (of.name, volume["name"])
        if key in self._volumes:
            return self._volumes[key]
        folder = self._folder / str(len(self._volumes))
        folder.mkdir()
        os.chown(folder, 0, group)
        folder.chmod(0o2777)
        if "secret" in volume:
            data = self.secret(volume["secret"]["secretName"])
            files = {item["path"]: data[item["key"]] for item in volume["secret"]["items"]}
            self._fill(folder, files, volume["secret"]["defaultMode"], group)
        elif "configMap" in volume:
            self._fill(folder, self.release.named("ConfigMap", volume["configMap"]["name"])["data"], 0o644, group)
        elif not claim and "emptyDir" not in volume:
            raise AssertionError(f"volume {volume} is not known here")
        self._volumes[key] = folder
        return folder

    def _new_pod(self, component, spec):
        self._count += 1
        return pod.Pod(self, f"{self.network}-{component}-{self._count}", component, spec)

    def run_pod(self, workload):
        """Runs a pod that ends; returns (exit status, its output)."""
        labels, spec = release.pod_of(workload)
        (container,) = spec["containers"]
        return self._new_pod(labels["app.kubernetes.io/component"], spec).run_to_end(container)

    def _start_one(self, component):
        _, spec = release.pod_of(self.release.component(component))
        fresh = self._new_pod(component, spec)
        self.pods.append(fresh)
        fresh.start()
        return fresh

    def deploy(self, component):
        """Starts as many pods as the Deployment says and waits until they are ready."""
        count = self.release.component(component)["spec"]["replicas"]
        say.note(f"{component}: {count} pod{'s' if count > 1 else ''}")
        for fresh in [self._start_one(component) for _ in range(count)]:
            fresh.wait_ready()

    def _stop_one(self, old):
        """Ends a pod, which must end by itself and in time."""
        took, status = old.stop()
        self._gone.append(old)
        self.pods.remove(old)
        say.note(f"{old.name} stopped after {took:.1f} s")
        # NATS ends with 1 when told to; a pod that had to be killed ends with 137.
        expected = (0, 1) if old.component.startswith("trial-") else (0,)
        if status not in expected or old.problems:
            raise AssertionError(f"{old.name}: exit status {status}, {old.problems}:\n{old.log(25)}")
        old.remove()

    def roll(self, component):
        """A rolling restart: each new pod is ready before an old one is told to end."""
        strategy = self.release.component(component)["spec"]["strategy"]
        rolling = strategy["rollingUpdate"]
        if strategy["type"] != "RollingUpdate" or rolling["maxUnavailable"] != 0:
            raise AssertionError(f"{component}: {strategy} is not known here")
        for old in [each for each in self.pods if each.component == component]:
            self._start_one(component).wait_ready()
            self._stop_one(old)

    def check_pods(self):
        """Nothing a node would have killed, and walls as the manifests say."""
        for each in self.pods:
            if each.problems:
                raise AssertionError(f"{each.name}: {each.problems}")
            if each.walls() != each.wanted_walls():
                raise AssertionError(f"{each.name}: walls are {each.walls()}, wanted {each.wanted_walls()}")

    def stop(self, components):
        """Ends the components' pods in the order given."""
        for component in components:
            for each in [each for each in self.pods if each.component == component]:
                self._stop_one(each)

    def memory(self):
        """Component -> (most bytes a stopped pod of it took, its limit)."""
        most = {}
        for each in self._gone:
            most[each.component] = max(most.get(each.component, (0, 0)), (each.memory_peak, each.limit()))
        return most

    def logs(self):
        """The end of what each pod wrote."""
        return "\n".join(f"--- {each.name}\n{each.log(25)}" for each in self.pods)

    def close(self):
        """Removes everything."""
        for each in self.pods:
            each.remove()
        for way in self._ways:
            way.close()
        self._names.close()
        self.docker.run("network", "rm", self.network, check=False)
        shutil.rmtree(self._folder, ignore_errors=True)
