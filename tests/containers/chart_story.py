"""The chart without a cluster: what its manifests say runs as containers, and a day passes on it."""

from deploy.docker import servers
from tests.containers import cluster, story
from tests.helm import chart, release
from tools.dev import go_tools, say

_SERVERS = ("trial-postgres", "trial-nats")
_SERVICES = ("coderd-api", "pubsub-relay", "provisionerd", "autostart-scheduler")
# Two of each, as in earnest; the trial's own servers stay alone.
_REPLICAS = ["--set", "coderdApi.replicas=2,pubsubRelay.replicas=2,provisionerd.replicas=2,autostartScheduler.replicas=2"]
_KEY = "coder-provisioner-key"


class ChartStory:
    """One release."""

    def __init__(self, docker):
        helm = chart.Helm(go_tools.ensure("helm"))
        files, arguments = chart.CASES["trial"]
        rendered = release.Release(chart.documents(helm.template(files, *arguments, *_REPLICAS)))
        helm.close()
        self._cluster = cluster.Cluster(docker, rendered, servers.ensure(docker))
        self._person = None

    def play(self):
        """The whole story; raises when something is not as the chart promises."""
        self._install()
        self._use()
        self._restart_under_load()
        self._uninstall()

    def _install(self):
        say.step("installing: servers, coderd-api with its migration, relay")
        self._cluster.check_services()
        for component in (*_SERVERS, "coderd-api", "pubsub-relay"):
            self._cluster.deploy(component)
        self._person = story.Person(self._cluster.way_to("coderd-api", 7080))
        self._cluster.given[_KEY] = {"provisioner-key": self._person.arrive()}
        say.step("the provisioner's key is there: provisionerd and scheduler")
        for component in ("provisionerd", "autostart-scheduler"):
            self._cluster.deploy(component)
        self._cluster.check_pods()
        say.step("helm test")
        for test in self._cluster.release.of("Pod"):
            status, output = self._cluster.run_pod(test)
            if status != 0:
                raise AssertionError(f"{test['metadata']['name']} ended with {status}:\n{output[-2000:]}")

    def _use(self):
        say.step("a template, a workspace: create, stop, start, delete")
        self._person.begin()
        for verb in ("create", "stop", "start", "delete"):
            self._person.build(verb, "day")
        say.note(f"{self._person.check_events('day')} events, none missing, none twice, in order")

    def _restart_under_load(self):
        say.step("rolling restart of every Deployment while builds go on")
        self._person.build("create", "rolling")
        trickle = story.Trickle(self._person, "rolling")
        try:
            for component in _SERVICES:
                self._cluster.roll(component)
        finally:
            trickle.end()
        self._person.build("delete", "rolling")
        say.note(f"{self._person.builds_of('rolling')} builds, none failed; {self._person.check_events('rolling')} events, "
                 "none missing, none twice, in order")
        self._cluster.check_pods()

    def _uninstall(self):
        say.step("stopping, each within its grace")
        self._person.leave()
        self._cluster.stop([*reversed(_SERVICES), *reversed(_SERVERS)])
        for component, (took, limit) in sorted(self._cluster.memory().items()):
            say.note(f"{component}: at most {took / 1e6:.0f} MB of {limit / 1e6:.0f} MB")

    def close(self):
        """Removes everything, whatever happened; after a failure call `logs` first."""
        self._cluster.close()

    def logs(self):
        """The end of what each pod wrote."""
        return self._cluster.logs()


def run(docker):
    """Plays it."""
    played = ChartStory(docker)
    try:
        played.play()
    except BaseException:
        print(played.logs(), flush=True)
        raise
    finally:
        played.close()
