"""`./dev test-containers`: the images and what runs them, for real."""

import pathlib
import tempfile
import traceback

from deploy.docker import engine, images
from tools.dev import bazel, say, work

STORIES = ("images", "chart", "compose", "systemd")


def _play(name, docker, lists):
    # The chart is read with PyYAML, which is there for this verb.
    if name == "images":
        from tests.containers import images_story
        images_story.run(docker, lists)
    elif name == "chart":
        from tests.containers import chart_story
        chart_story.run(docker)
    elif name == "systemd":
        from tests.containers import systemd_story
        systemd_story.run(docker, images.context())
    else:
        from tests.containers import compose_story
        compose_story.run(docker)


def run(arguments):
    """Builds the images and plays the stories; a failure of one keeps none of the others from being played."""
    wanted = arguments.stories or STORIES
    unknown = set(wanted) - set(STORIES)
    if unknown:
        raise say.Problem(f"there is no story {', '.join(sorted(unknown))}; there are {', '.join(STORIES)}")
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="coder-suite-lists-") as lists, engine.running() as docker:
        images.build(docker, output=pathlib.Path(lists), optimized=not arguments.unoptimized)
        for name in wanted:
            try:
                _play(name, docker, pathlib.Path(lists))
                outcomes.append(bazel.Outcome(1, 0, []))
            except Exception as problem:
                traceback.print_exc()
                outcomes.append(bazel.Outcome(0, 1, [f"{name}: {str(problem).splitlines()[0]}"]))
    return work.summary(outcomes)


def add_verbs(add, verbs):
    """Declares the verb; `add` makes one parser."""
    parser = add(verbs, "test-containers", run,
                 "Builds the images and runs them for real, as root (some six minutes once built):\n"
                 "  images   who they run as, what they carry, the list beside each\n"
                 "  chart    what the Helm chart's manifests say, as containers: users, read-only roots, memory, probes, grace;\n"
                 "           a workspace's life on it, and a rolling restart of every Deployment while builds go on\n"
                 "  compose  deploy/compose from setup.sh to `down`, with a restart in between\n"
                 "  systemd  deploy/systemd on a machine with a systemd of its own",
                 "./dev test-containers", "./dev test-containers chart --unoptimized")
    parser.add_argument("--unoptimized", action="store_true", help="with the programs of `./dev build`: sooner there")
    parser.add_argument("stories", nargs="*", metavar="story", help=f"{', '.join(STORIES)} (default: all)")
