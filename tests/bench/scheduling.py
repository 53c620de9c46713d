"""Benchmarks of the lifecycle: cron arithmetic, herds, builds asked for, schedules that rest."""

import re
import subprocess
import time

from deploy.local import postgres, services
from tests.bench import rig, stats
from tools.dev import say

_STREAM_HEAD = "coderd_watch_ring_head_position"
_KEY = "cpk_" + "b" * 43
_ID = "('00000000-0000-4000-8000-' || lpad({}::text, 12, '0'))::uuid"

# One template whose workspaces, numbered from 0, have been stopped two days ago.
_WORKSPACES = """
CREATE TEMP TABLE one AS SELECT u.id AS owner, o.id AS organization FROM users u, organizations o LIMIT 1;
INSERT INTO files (id, sha256, created_by, media_type, data)
  SELECT gen_random_uuid(), sha256('x'), owner, 'application/x-tar', 'x' FROM one;
INSERT INTO provisioner_jobs (id, organization_id, initiator_id, type, provisioner, file_id, tags, queue_at, completed_at)
  SELECT gen_random_uuid(), organization, owner, 'template_version_import', 'echo', f.id,
    '{{"scope": "organization", "owner": ""}}', now(), now() FROM one, files f;
INSERT INTO template_versions (id, organization_id, name, job_id, created_by)
  SELECT gen_random_uuid(), organization, 'v1', j.id, owner FROM one, provisioner_jobs j;
INSERT INTO templates (id, organization_id, name, provisioner, active_version_id, created_by)
  SELECT gen_random_uuid(), organization, 'herd', 'echo', v.id, owner FROM one, template_versions v;
UPDATE template_versions SET template_id = t.id FROM templates t;
INSERT INTO provisioner_keys (id, organization_id, name, hashed_secret, created_by)
  SELECT gen_random_uuid(), organization, 'bench', sha256('{key}'), owner FROM one;
INSERT INTO provisioner_daemons (id, organization_id, key_id, name, provisioners, tags, slots, last_seen_at)
  SELECT gen_random_uuid(), organization, k.id, 'bench', '{{echo}}', '{{}}', 1, now() + interval '1 day'
  FROM one, provisioner_keys k WHERE k.name = 'bench';
INSERT INTO workspaces (id, owner_id, organization_id, template_id, name)
  SELECT {id}, owner, organization, t.id, 'w' || i FROM one, templates t, generate_series(0, {last}) i;
INSERT INTO provisioner_jobs (id, organization_id, initiator_id, type, provisioner, file_id, tags, queue_at, started_at,
    lease_token, lease_expires_at, completed_at)
  SELECT {id}, organization, owner, 'workspace_build', 'echo', f.id, '{{"scope": "organization", "owner": ""}}', now(),
    now(), gen_random_uuid(), now(), now() FROM one, files f, generate_series(0, {last}) i;
INSERT INTO workspace_builds (id, workspace_id, build_number, template_version_id, transition, reason, initiator_id, job_id,
    created_at)
  SELECT {id}, {id}, 1, v.id, 'stop', 'initiator', owner, {id}, now() - interval '2 days'
  FROM one, template_versions v, generate_series(0, {last}) i;
UPDATE workspaces SET latest_build_id = id;
VACUUM ANALYZE;
"""

# As they were; the first {due} are due since five minutes.
_RESET = """
DELETE FROM lifecycle_outcomes;
DELETE FROM workspace_build_parameters;
UPDATE workspaces SET latest_build_id = id, autostart_schedule = NULL, next_start_at = NULL;
DELETE FROM workspace_builds WHERE build_number > 1;
DELETE FROM provisioner_jobs j WHERE type = 'workspace_build' AND NOT EXISTS (
  SELECT FROM workspace_builds b WHERE b.job_id = j.id);
WITH at AS (SELECT date_trunc('minute', now() AT TIME ZONE 'UTC') - interval '5 minutes' AS due)
UPDATE workspaces SET next_start_at = due AT TIME ZONE 'UTC', autostart_set_at = now() - interval '1 day',
  autostart_schedule = format('CRON_TZ=UTC %s %s * * *', extract(minute FROM due)::int, extract(hour FROM due)::int)
FROM at WHERE id < {end};
VACUUM ANALYZE workspaces, workspace_builds, provisioner_jobs, lifecycle_outcomes, workspace_build_parameters;
"""


class _Herd:
    """Workspaces of one deployment that can be made due again and again."""

    def __init__(self, local, due, others=0):
        self.local, self.due = local, due
        local.sql(_WORKSPACES.format(id=_ID.format("i"), last=due + others - 1, key=_KEY))
        self._tick = services.command(services.by_name("autostart-scheduler"), "autostart-scheduler", local.wiring,
                                      ("--once",))

    def reset(self):
        """All are due, none is started."""
        self.local.sql(_RESET.format(end=_ID.format(self.due)))

    def start_tick(self):
        """The scheduler, deciding once."""
        return subprocess.Popen([str(part) for part in self._tick], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                text=True)

    def finish(self, tick):
        """Waits for the tick and makes sure that it started every workspace."""
        _, told = tick.communicate()
        started = int(self.local.sql("SELECT count(*) FROM workspace_builds WHERE build_number = 2 AND reason = 'autostart'"))
        if tick.returncode != 0 or started != self.due:
            raise say.Problem(f"the tick ended with {tick.returncode} and started {started} of {self.due}:\n{told[-2000:]}")


def cron(options):
    """Next runs/s of 100,000 schedules in 400 zones, by stepping through the minutes."""
    schedules = options.size(100_000)
    ratio = stats.Ratio("cron", "runs/s", 20, 100)
    sums = set()

    def rate(mode):
        made = rig.run("cron_rate", f"--mode={mode}", f"--schedules={schedules}")
        sums.add(made["sum"])
        if len(sums) != 1:
            raise say.Problem("the two sides disagree on a next run")
        return made["runs"] / made["seconds"]

    options.pairs_of(ratio, lambda: rate("ours"), lambda: rate("stepping"))
    return [ratio]


def herd(options):
    """Workspaces/s that one tick starts of 10,000 due ones, by one transaction for each from ten sessions."""
    due = options.size(10_000)
    ratio = stats.Ratio("herd", "workspaces/s", 5, 12)
    committed = stats.Bound("tick to the last build committed", "s", 2, 0.5)
    seen = stats.Bound("tick to the last event in coderd-api's ring", "s", 3, 1)
    with rig.Rig() as local:
        those = _Herd(local, due)
        owner = local.environment(postgres_role=postgres.OWNER)

        def ours():
            those.reset()
            head = local.metric("coderd-api", _STREAM_HEAD)
            began = time.monotonic()
            tick = those.start_tick()
            tick.wait()
            took = time.monotonic() - began
            local.await_metric("coderd-api", _STREAM_HEAD, head + due)
            committed.add(took)
            seen.add(time.monotonic() - began)
            those.finish(tick)
            return due / took

        def baseline():
            those.reset()
            made = rig.run("workspace_herd", "--workers=10", environment=owner)
            return made["builds"] / made["seconds"]

        options.pairs_of(ratio, ours, baseline)
    return [ratio, committed, seen]


def herd_harm(options):
    """p99 in ms of single calls while one tick starts 10,000 workspaces, by the same when nothing is due."""
    due, calls = options.size(10_000), options.size(300)
    ratios = {mode: stats.Ratio(name, "ms", 5, 2, at_least=False)
              for mode, name in (("get", "GetWorkspace"), ("start", "CreateWorkspaceBuild"))}
    with rig.Rig() as local:
        those = _Herd(local, due, calls)
        token = local.environment(token=True)

        def p99(mode):
            return rig.run("api_calls", f"--address={local.address()}", f"--mode={mode}", f"--first={due}",
                           f"--calls={calls}", "--in-flight=8", "--pace-ms=5", environment=token)["p99"] * 1000

        def ours():
            found = []
            for mode in ratios:
                those.reset()
                tick = those.start_tick()
                found.append(p99(mode))
                those.finish(tick)
            return found

        def baseline():
            those.reset()
            return [p99(mode) for mode in ratios]

        options.pairs_of_both(tuple(ratios.values()), ours, baseline)
    return list(ratios.values())


_SIX_STATEMENTS = """
\\set n random(0, 999)
BEGIN;
SELECT version FROM bench_workspaces WHERE id = :n FOR UPDATE;
INSERT INTO bench_jobs (workspace_id, status) VALUES (:n, 1);
INSERT INTO bench_builds (workspace_id) VALUES (:n);
UPDATE bench_workspaces SET version = version + 1 WHERE id = :n;
COMMIT;
"""


def _pgbench(local, script, clients, *limit):
    """pgbench's transactions/s of a script."""
    done = subprocess.run([postgres.programs_dir() / "pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", "2", *limit,
                           "-f", script, local.suite.postgres.url(postgres.OWNER)], capture_output=True, text=True)
    if done.returncode != 0:
        raise say.Problem(f"pgbench: {done.stderr.strip()}")
    return float(re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE).group(1))


def builds(options):
    """Builds/s through CreateWorkspaceBuild, 64 calls in flight, by pgbench's transactions of six statements."""
    calls, seconds = options.size(4000), 4 if options.full else 1
    ratio = stats.Ratio("builds", "1/s", 2, 5)
    with rig.Rig() as local:
        those = _Herd(local, 0, calls)
        token = local.environment(token=True)
        local.sql("CREATE TABLE bench_workspaces (id int PRIMARY KEY, version bigint NOT NULL) WITH (fillfactor = 50); "
                  "INSERT INTO bench_workspaces SELECT i, 0 FROM generate_series(0, 999) i; "
                  "CREATE TABLE bench_jobs (id bigserial PRIMARY KEY, workspace_id int, status int); "
                  "CREATE TABLE bench_builds (id bigserial PRIMARY KEY, workspace_id int)")
        script = local.folder / "six.sql"
        script.write_text(_SIX_STATEMENTS)

        def ours():
            those.reset()
            made = rig.run("api_calls", f"--address={local.address()}", "--mode=start", "--first=0", f"--calls={calls}",
                           "--in-flight=64", environment=token)
            return made["calls"] / made["seconds"]

        def baseline():
            local.sql("TRUNCATE bench_jobs, bench_builds; VACUUM bench_workspaces")
            return _pgbench(local, script, 64, "-T", str(seconds))

        options.pairs_of(ratio, ours, baseline)
    return [ratio]


# Every workspace is to be started.
_QUEUE = """
INSERT INTO provisioner_jobs (id, organization_id, initiator_id, type, provisioner, file_id, tags, queue_at)
  SELECT {job}, w.organization_id, w.owner_id, 'workspace_build', 'echo', j.file_id, j.tags, now()
  FROM workspaces w JOIN workspace_builds b ON b.workspace_id = w.id JOIN provisioner_jobs j ON j.id = b.job_id;
INSERT INTO workspace_builds (id, workspace_id, build_number, template_version_id, transition, reason, initiator_id, job_id)
  SELECT {job}, w.id, 2, b.template_version_id, 'start', 'initiator', w.owner_id, {job}
  FROM workspaces w JOIN workspace_builds b ON b.workspace_id = w.id;
UPDATE workspaces w SET latest_build_id = {job};
VACUUM ANALYZE workspaces, workspace_builds, provisioner_jobs;
TRUNCATE bench_queue;
INSERT INTO bench_queue (status) SELECT 0 FROM workspaces;
VACUUM ANALYZE bench_queue;
"""

# The usual queue in a table: the oldest row that nobody holds is taken, then marked as done.
_SKIP_LOCKED = """
UPDATE bench_queue SET status = 1, worker = :client_id WHERE id = (
  SELECT id FROM bench_queue WHERE status = 0 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id AS taken \\gset
UPDATE bench_queue SET status = 2 WHERE id = :taken;
"""


def acquire(options):
    """Jobs/s that 32 provisioners take and complete, by pgbench's clients taking rows with SKIP LOCKED."""
    each = options.size(160)
    ratio = stats.Ratio("acquire", "jobs/s", 0.8, 2)
    with rig.Rig() as local:
        those = _Herd(local, 0, 32 * each)
        local.sql("CREATE TABLE bench_queue (id bigserial PRIMARY KEY, status int NOT NULL, worker int); "
                  "CREATE INDEX ON bench_queue (id) WHERE status = 0")
        script = local.folder / "skip_locked.sql"
        script.write_text(_SKIP_LOCKED)

        def queue():
            those.reset()
            local.sql(_QUEUE.format(job="overlay(w.id::text PLACING '9' FROM 20)::uuid"))

        def ours():
            queue()
            made = rig.run("take_jobs", f"--address={local.address()}", "--daemons=32", f"--jobs={32 * each}",
                           environment={"CODER_PROVISIONER_KEY": _KEY})
            left = local.sql("SELECT count(*) FROM provisioner_jobs WHERE status <> 'succeeded'")
            if left != "0":
                raise say.Problem(f"{left} jobs did not succeed")
            return made["jobs"] / made["seconds"]

        def baseline():
            queue()
            return _pgbench(local, script, 32, "-t", str(each))

        options.pairs_of(ratio, ours, baseline)
    return [ratio]


def schedules(options):
    """What 100,000 schedules cost of which none is due: processor time of scheduler and API, and the database's
    statements/s from everybody."""
    count, seconds = options.size(100_000), 120 if options.full else 2
    cpu = stats.Bound(f"{count} schedules at rest", "% of one processor", 2, 1)
    queries = stats.Bound("statements at PostgreSQL", "1/s", 5, 1)
    with rig.Rig() as local:
        those = _Herd(local, count)
        those.reset()
        local.sql("UPDATE workspaces SET next_start_at = next_start_at + interval '1 day'; VACUUM ANALYZE workspaces")
        local.start("autostart-scheduler")
        names = ("coderd-api", "autostart-scheduler")
        committed = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'coder'"
        for _ in range(min(options.pairs, 3)):
            used, asked = sum(rig.cpu_seconds(local.pid(name)) for name in names), int(local.sql(committed))
            time.sleep(seconds)
            cpu.add((sum(rig.cpu_seconds(local.pid(name)) for name in names) - used) / seconds * 100)
            queries.add((int(local.sql(committed)) - asked - 1) / seconds)
        local.stop("autostart-scheduler")
    return [cpu, queries]
