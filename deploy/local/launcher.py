"""The verbs that run the suite: up, down, status, logs, reset."""

import pathlib
import signal
import subprocess

from deploy.local import box, data_dir, demo, suite
from tools.dev import say


def _data(arguments):
    return data_dir.DataDir(arguments.data_dir or data_dir.default_path())


def _existing(arguments):
    data = _data(arguments)
    if not data.exists():
        raise say.Problem(f"there is no suite in {data.path}; start one with ./dev up")
    return data


def up(arguments):
    """Starts the suite; with --foreground stays, and stops it on Ctrl-C."""
    data = _data(arguments)
    fixed = {"coderd-api grpc": arguments.api_port} if arguments.api_port else {}
    with data.locked():
        local = suite.Suite(data)
        local.up(fixed)
        print(local.box(), flush=True)
        if arguments.foreground:
            _stay(local)
    return 0


def _stay(local):
    print("Ctrl-C stops everything.", flush=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    finally:
        local.down()


def down(arguments):
    """Stops the suite."""
    data = _existing(arguments)
    with data.locked():
        stopped = suite.Suite(data).down()
    say.step(f"stopped; data stay in {data.path}" if stopped else "nothing was running")
    return 0


def status(arguments):
    """Prints what runs; exit status 0 when everything does, 3 when something does not."""
    data = _existing(arguments)
    local = suite.Suite(data)
    local.read_ports()
    rows = local.status_rows()
    print(box.draw(f"coder-suite in {data.path}", rows))
    return 0 if all(state.startswith("running") and "not ready" not in state for _, state in rows) else 3


def logs(arguments):
    """Prints the end of the logs, or follows them."""
    data = _existing(arguments)
    paths = [data.logs / f"{name}.log" for name in ([arguments.service] if arguments.service else suite.NAMES)]
    paths = [str(path) for path in paths if path.exists()]
    if not paths:
        raise say.Problem(f"{arguments.service or 'no process'} has written nothing yet in {data.logs}")
    command = ["tail", "-n", str(arguments.lines), *(["-F"] if arguments.follow else []), *paths]
    return subprocess.run(command, stdin=subprocess.DEVNULL).returncode


def reset(arguments):
    """Stops the suite and deletes its data."""
    data = _existing(arguments)
    with data.locked():
        local = suite.Suite(data)
        local.down()
        local.delete()
    say.step(f"deleted {data.path}")
    return 0


def add_verbs(add, verbs):
    """Declares the launcher's verbs; `add` makes one parser."""
    parsers = [
        add(verbs, "up", up, "Starts PostgreSQL, NATS and the four services on free loopback ports, and leaves them "
            "running.\nData and ports are kept between runs.",
            "./dev up", "./dev up --foreground", "./dev up --data-dir=/tmp/second-suite --api-port=7080"),
        add(verbs, "down", down, "Stops everything in reverse order; data stay.", "./dev down"),
        add(verbs, "status", status, "Shows every process; exit status 0 when all run and are ready, else 3.",
            "./dev status"),
        add(verbs, "logs", logs, "Prints the end of the logs.", "./dev logs", "./dev logs coderd-api -f",
            "./dev logs postgres -n 100"),
        add(verbs, "reset", reset, "Stops everything and deletes the data directory.", "./dev reset"),
    ]
    for parser in parsers:
        parser.add_argument("--data-dir", metavar="DIR", type=pathlib.Path,
                            help=f"where data, ports and logs are kept (default: {data_dir.default_path()})")
    demo_parser = add(verbs, "demo", demo.demo, "Plays one workspace's life on real parts: first user, template, workspace, "
                      "stop, autostart, delete,\nwith every build event shown beside it. Takes about two minutes once built.",
                      "./dev demo", "./dev demo --keep")
    demo_parser.add_argument("--keep", action="store_true", help="keep logs and data afterwards")
    up_parser, _, _, logs_parser, _ = parsers
    up_parser.add_argument("--foreground", action="store_true", help="stay, and stop everything on Ctrl-C")
    up_parser.add_argument("--api-port", type=int, metavar="PORT", help="the API's port (default: a free one, remembered)")
    logs_parser.add_argument("service", nargs="?", choices=suite.NAMES, help="one process (default: all)")
    logs_parser.add_argument("-f", "--follow", action="store_true", help="go on as more is written")
    logs_parser.add_argument("-n", "--lines", type=int, default=20, help="how many lines of each (default: 20)")
