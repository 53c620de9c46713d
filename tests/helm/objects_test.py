"""Every object of every case: known fields, restricted pods, whole references, and only the architecture's arrows."""

import functools
import pathlib
import subprocess
import tempfile
import unittest

from tests.helm import chart, release, schema_check
from tools.dev import tests_need

# Secrets and ConfigMaps that the cases say exist already.
_GIVEN = {"coder-postgres", "coder-nats", "coder-secrets", "coder-provisioner-key", "coder-server-tls",
          "coder-provisionerd-tls", "coder-scheduler-tls", "postgres-ca", "proxy"}
_STOP_SECONDS = 5  # ProgramOptions::stop_timeout of libs/server/program.h


def setUpModule():
    """Renders every case once."""
    global cases
    helm = chart.Helm(tests_need.program("CODER_TEST_HELM"))
    cases = {name: release.Release(chart.documents(helm.case(name))) for name in chart.CASES}
    helm.close()


def _each_case(test):
    """Makes a test of one render a test of all."""
    @functools.wraps(test)
    def test_all(self):
        for name, rendered in cases.items():
            with self.subTest(name):
                test(self, rendered)
    return test_all


def _each_pod(test):
    """Makes a test of one workload's pod a test of all pods of all cases."""
    @functools.wraps(test)
    def test_all(self):
        for name, rendered in cases.items():
            for workload in rendered.workloads():
                with self.subTest(f"{name}: {release.name_of(workload)}"):
                    test(self, rendered, workload, *release.pod_of(workload))
    return test_all


class Objects(unittest.TestCase):
    """A test a property; each holds for every case."""

    @_each_case
    def test_no_field_is_unknown_to_kubernetes(self, rendered):
        schemas = schema_check.Schemas()
        for thing in rendered.objects:
            self.assertEqual(schemas.complaints(thing), [], release.name_of(thing))

    def test_a_misspelt_field_is_found(self):
        thing = cases["default"].component("coderd-api")
        thing = {**thing, "spec": {**thing["spec"], "replica": 1, "template": {"spec": {"containers": [{"name": 1}]}}}}
        self.assertCountEqual(schema_check.Schemas().complaints(thing),
                              [".spec.replica: no such field", ".spec.template.spec.containers[0].name: 1 is no string"])

    def test_kubeconform_agrees(self):
        with tempfile.TemporaryDirectory(prefix="coder-suite-schemas-") as folder:
            place = schema_check.Schemas().write_for_kubeconform(pathlib.Path(folder))
            files = [chart.TESTS / "golden" / f"{name}.yaml" for name in chart.CASES]
            done = subprocess.run([tests_need.program("CODER_TEST_KUBECONFORM"), "-strict", "-summary", "-schema-location",
                                   place, *files], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, (done.stdout + done.stderr)[:3000])
        self.assertIn("Skipped: 0", done.stdout)

    @_each_case
    def test_names_are_unique_and_namespaces_said(self, rendered):
        keys = [(thing["apiVersion"], release.name_of(thing), thing["metadata"].get("namespace"))
                for thing in rendered.objects]
        self.assertEqual(len(keys), len(set(keys)))
        self.assertEqual([key for key in keys if not key[2]], [])

    @_each_pod
    def test_pods_are_restricted(self, _rendered, _workload, _labels, pod):
        """Pod Security "restricted", and a read-only root for what is ours."""
        self.assertFalse({"hostNetwork", "hostPID", "hostIPC"} & set(pod))
        self.assertLessEqual({kind for volume in pod.get("volumes", []) for kind in volume if kind != "name"},
                             {"emptyDir", "secret", "configMap", "persistentVolumeClaim", "projected"})
        security = pod["securityContext"]
        self.assertIs(security["runAsNonRoot"], True)
        self.assertNotEqual(security.get("runAsUser"), 0)
        self.assertEqual(security["seccompProfile"], {"type": "RuntimeDefault"})
        for container in release.containers_of(pod):
            own = container["securityContext"]
            self.assertIs(own["allowPrivilegeEscalation"], False)
            self.assertEqual(own["capabilities"], {"drop": ["ALL"]})
            self.assertFalse(own.get("privileged", False))
            self.assertNotIn("hostPort", str(container.get("ports")))
            if container["name"] != "proxy":
                self.assertIs(own["readOnlyRootFilesystem"], True)
                self.assertIn("memory", container["resources"]["limits"])

    @_each_pod
    def test_only_provisionerd_with_namespaces_has_a_token(self, rendered, _workload, labels, pod):
        wanted = labels["app.kubernetes.io/component"] == "provisionerd" and bool(rendered.of("Role"))
        self.assertIs(pod["automountServiceAccountToken"], wanted)

    def test_provisionerd_may_act_in_its_namespaces_only(self):
        everything = cases["everything"]
        for kind in ("Role", "RoleBinding"):
            self.assertEqual({thing["metadata"]["namespace"] for thing in everything.of(kind)},
                             {"workspaces-a", "workspaces-b"})
        for binding in everything.of("RoleBinding"):
            self.assertEqual(binding["subjects"], [{"kind": "ServiceAccount", "name": "suite-provisionerd",
                                                    "namespace": "coder"}])
        self.assertEqual(cases["default"].of("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"), [])

    @_each_case
    def test_selectors_take_their_own_pods_only(self, rendered):
        for workload in rendered.of("Deployment"):
            own = workload["metadata"]["labels"]["app.kubernetes.io/component"]
            self.assertEqual(rendered.selected(workload["spec"]["selector"]), {own})
        for service in rendered.of("Service"):
            own = service["metadata"]["labels"]["app.kubernetes.io/component"]
            self.assertEqual(rendered.selected({"matchLabels": service["spec"]["selector"]}), {own})
        for budget in rendered.of("PodDisruptionBudget"):
            own = budget["metadata"]["labels"]["app.kubernetes.io/component"]
            self.assertEqual(rendered.selected(budget["spec"]["selector"]), {own})

    @_each_case
    def test_ports_by_name_are_there(self, rendered):
        for service in rendered.of("Service"):
            own = service["metadata"]["labels"]["app.kubernetes.io/component"]
            _, pod = release.pod_of(rendered.component(own))
            names = {port["name"] for port in pod["containers"][0]["ports"]}
            self.assertLessEqual({port["targetPort"] for port in service["spec"]["ports"]}, names)

    @_each_pod
    def test_ports_of_probes_are_there(self, _rendered, _workload, _labels, pod):
        for container in pod["containers"]:
            names = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                for how in ("httpGet", "tcpSocket"):
                    port = container.get(probe, {}).get(how, {}).get("port")
                    self.assertTrue(port is None or port in names, f"{probe}: no port {port}")

    def test_monitors_reach_all_four(self):
        four = set(chart.chart_values.COMPONENTS.values())
        (monitor,) = cases["everything"].of("PodMonitor")
        self.assertEqual(cases["everything"].selected(monitor["spec"]["selector"]), four)
        self.assertEqual(monitor["spec"]["podMetricsEndpoints"][0]["port"], "admin")
        (monitor,) = cases["monitors"].of("ServiceMonitor")
        services = [service for service in cases["monitors"].of("Service")
                    if release.selects(monitor["spec"]["selector"], service["metadata"]["labels"])]
        self.assertEqual({service["metadata"]["labels"]["app.kubernetes.io/component"] for service in services}, four)
        self.assertEqual({port["name"] for service in services for port in service["spec"]["ports"]}, {"admin"})

    @_each_pod
    def test_what_pods_mount_and_run_as_is_there(self, rendered, workload, _labels, pod):
        names = {volume["name"] for volume in pod.get("volumes", [])}
        for container in release.containers_of(pod):
            mounts = container.get("volumeMounts", [])
            self.assertLessEqual({mount["name"] for mount in mounts}, names)
            self.assertEqual(len(mounts), len({mount["mountPath"] for mount in mounts}))
        for volume in pod.get("volumes", []):
            self._check_source(rendered, volume)
        account = pod.get("serviceAccountName")
        if account:
            self.assertIsNotNone(rendered.named("ServiceAccount", account), account)
        self.assertTrue(account or workload["kind"] in ("Job", "Pod") or "trial" in workload["metadata"]["name"])

    def _check_source(self, rendered, volume):
        if "secret" in volume:
            name = volume["secret"]["secretName"]
            made = {certificate["spec"]["secretName"] for certificate in rendered.of("Certificate")}
            secret = rendered.named("Secret", name)
            self.assertTrue(secret or name in made | _GIVEN, name)
            if secret:
                self.assertLessEqual({item["key"] for item in volume["secret"]["items"]}, set(secret["stringData"]))
        if "configMap" in volume:
            self.assertIsNotNone(rendered.named("ConfigMap", volume["configMap"]["name"]))
        if "persistentVolumeClaim" in volume:
            self.assertIsNotNone(rendered.named("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]))

    def test_each_service_gets_its_own_secrets_only(self):
        """The credentials of ARCHITECTURE.md's table."""
        keys = {name: {(volume["secret"]["secretName"], item["key"]) for volume in
                       release.pod_of(cases["default"].component(name))[1]["volumes"] if "secret" in volume
                       for item in volume["secret"]["items"]} for name in chart.chart_values.COMPONENTS.values()}
        self.assertEqual(keys, {
            "coderd-api": {("coder-postgres", "api-url"), ("coder-nats", "api-url"), ("coder-secrets", "keyring"),
                           ("coder-secrets", "service-token")},
            "pubsub-relay": {("coder-postgres", "relay-url"), ("coder-nats", "relay-url")},
            "provisionerd": {("coder-provisioner-key", "provisioner-key")},
            "autostart-scheduler": {("coder-secrets", "service-token")}})

    @_each_pod
    def test_the_owner_of_the_schema_is_seen_by_what_migrates_only(self, _rendered, _workload, _labels, pod):
        for container in release.containers_of(pod):
            paths = {mount["mountPath"] for mount in container.get("volumeMounts", [])}
            self.assertEqual("/etc/coder-suite/owner" in paths, container["name"] == "migrate")

    @_each_pod
    def test_a_hook_leans_on_nothing_of_the_release(self, rendered, workload, _labels, pod):
        if "pre-install" not in workload["metadata"].get("annotations", {}).get("helm.sh/hook", ""):
            return
        self.assertNotIn("serviceAccountName", pod)
        for volume in pod["volumes"]:
            self.assertIsNone(rendered.named("Secret", volume.get("secret", {}).get("secretName")))
            self.assertNotIn("configMap", volume)

    @_each_case
    def test_grace_is_above_the_drain(self, rendered):
        for component in chart.chart_values.COMPONENTS.values():
            _, pod = release.pod_of(rendered.component(component))
            (drain,) = [int(argument.split("=")[1][:-1]) for argument in pod["containers"][0]["args"]
                        if argument.startswith("--drain-timeout=")]
            self.assertGreater(pod["terminationGracePeriodSeconds"], drain + _STOP_SECONDS)

    @_each_case
    def test_builds_outlast_a_scale_down(self, rendered):
        """JobLoop::Drain waits three quarters of the drain before it interrupts; an engine's command takes 2 h at most."""
        _, pod = release.pod_of(rendered.component("provisionerd"))
        (drain,) = [int(argument.split("=")[1][:-1]) for argument in pod["containers"][0]["args"]
                    if argument.startswith("--drain-timeout=")]
        self.assertGreater(drain * 0.75, 2 * 3600)

    def test_budgets_and_scalers(self):
        self.assertEqual(cases["default"].of("PodDisruptionBudget", "HorizontalPodAutoscaler", "ScaledObject"), [])
        self.assertEqual(len(cases["ha"].of("PodDisruptionBudget")), 4)
        (scaler,) = cases["keda"].of("ScaledObject")
        target = cases["keda"].named("Deployment", scaler["spec"]["scaleTargetRef"]["name"])
        self.assertNotIn("replicas", target["spec"])
        self.assertEqual(scaler["spec"]["triggers"][0]["metadata"]["threshold"], "4")
        (scaler,) = cases["ha"].of("HorizontalPodAutoscaler")
        target = cases["ha"].named("Deployment", scaler["spec"]["scaleTargetRef"]["name"])
        self.assertNotIn("replicas", target["spec"])


class Arrows(unittest.TestCase):
    """The network policies."""

    def test_all_pods_are_denied_what_no_arrow_allows(self):
        for name, rendered in cases.items():
            with self.subTest(name):
                deny = next(policy for policy in rendered.of("NetworkPolicy")
                            if policy["metadata"]["name"].endswith("default-deny"))
                self.assertEqual(set(deny["spec"]), {"podSelector", "policyTypes"})
                self.assertEqual(deny["spec"]["policyTypes"], ["Ingress", "Egress"])
                everyone = {release.pod_of(workload)[0]["app.kubernetes.io/component"] for workload in rendered.workloads()}
                self.assertEqual(rendered.selected(deny["spec"]["podSelector"]), everyone)

    def test_arrows_are_those_of_the_architecture(self):
        four = chart.chart_values.COMPONENTS.values()
        dns = {(component, "*", 53) for component in [*four, "migrate", "test"]}
        scrapes = {("outside", component, "admin") for component in four}
        self.assertEqual(cases["default"].arrows(), dns | scrapes | {
            ("*", "coderd-api", "grpc"),
            ("provisionerd", "coderd-api", "grpc"), ("autostart-scheduler", "coderd-api", "grpc"),
            ("test", "coderd-api", "grpc"),
            ("coderd-api", "*", 5432), ("pubsub-relay", "*", 5432), ("migrate", "*", 5432),
            ("coderd-api", "*", 4222), ("pubsub-relay", "*", 4222)})

    def test_arrows_of_the_trial_end_at_its_servers(self):
        found = {arrow for arrow in cases["trial"].arrows() if "trial" in arrow[0] + arrow[1]}
        self.assertEqual(found, {(service, server, port) for service in ("coderd-api", "pubsub-relay")
                                 for server, port in (("trial-postgres", 5432), ("trial-nats", 4222),
                                                      ("trial-postgres", "postgres"), ("trial-nats", "nats"))})


if __name__ == "__main__":
    unittest.main()
