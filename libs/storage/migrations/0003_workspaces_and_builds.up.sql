CREATE TABLE workspaces (
  id uuid PRIMARY KEY,
  owner_id uuid NOT NULL REFERENCES users,
  organization_id uuid NOT NULL REFERENCES organizations,
  template_id uuid NOT NULL REFERENCES templates,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 32),
  -- Normalised, with its CRON_TZ; NULL: does not start by itself.
  autostart_schedule text,
  -- NULL: does not stop by itself.
  ttl interval CHECK (ttl BETWEEN interval '1 minute' AND interval '30 days'),
  automatic_updates text NOT NULL DEFAULT 'never' CHECK (automatic_updates IN ('always', 'never')),
  -- When the schedule fires next; the scheduler's prefilter. NULL with a schedule: to be computed.
  next_start_at timestamptz,
  last_used_at timestamptz NOT NULL DEFAULT now(),
  dormant_at timestamptz,
  deleting_at timestamptz,
  latest_build_id uuid,
  -- Rises by one with every event of the workspace, only ever together with an outbox row.
  event_version bigint NOT NULL DEFAULT 0,
  -- Rises with every change of the resource itself; the API's etag.
  revision bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
) WITH (fillfactor = 75);
CREATE UNIQUE INDEX workspaces_owner_name_key ON workspaces (owner_id, lower(name)) WHERE deleted_at IS NULL;
CREATE INDEX workspaces_template_idx ON workspaces (template_id) WHERE deleted_at IS NULL;
CREATE INDEX workspaces_organization_idx ON workspaces (organization_id, id) WHERE deleted_at IS NULL;
CREATE INDEX workspaces_next_start_idx ON workspaces (next_start_at)
  WHERE deleted_at IS NULL AND autostart_schedule IS NOT NULL;
CREATE INDEX workspaces_deleting_idx ON workspaces (deleting_at) WHERE deleted_at IS NULL AND deleting_at IS NOT NULL;

CREATE TABLE workspace_builds (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL REFERENCES workspaces,
  build_number integer NOT NULL CHECK (build_number >= 1),
  template_version_id uuid NOT NULL REFERENCES template_versions,
  transition text NOT NULL CHECK (transition IN ('start', 'stop', 'delete')),
  reason text NOT NULL CHECK (reason IN ('initiator', 'autostart', 'autostop', 'dormancy', 'failedstop', 'autodelete',
    'dashboard', 'cli', 'ssh_connection', 'vscode_connection', 'jetbrains_connection')),
  initiator_id uuid NOT NULL REFERENCES users,
  job_id uuid NOT NULL UNIQUE REFERENCES provisioner_jobs,
  log_level text NOT NULL DEFAULT '' CHECK (log_level IN ('', 'debug')),
  -- The engine's state after this build (before it ran: the state it starts from), sealed; NULL: empty.
  sealed_state bytea,
  -- A state that arrived after the lease was lost, sealed. While unresolved it blocks the next build.
  late_state bytea,
  late_state_at timestamptz,
  late_state_resolution text CHECK (late_state_resolution IN ('adopted', 'dismissed')),
  deadline timestamptz,
  max_deadline timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT workspace_builds_workspace_id_build_number_key UNIQUE (workspace_id, build_number),
  CHECK (deadline IS NULL OR max_deadline IS NULL OR deadline <= max_deadline),
  CHECK ((late_state IS NULL) = (late_state_at IS NULL)),
  CHECK (late_state_resolution IS NULL OR late_state IS NOT NULL)
) WITH (fillfactor = 75);
ALTER TABLE workspace_builds ALTER COLUMN sealed_state SET STORAGE EXTERNAL;
CREATE INDEX workspace_builds_deadline_idx ON workspace_builds (deadline)
  WHERE deadline IS NOT NULL AND transition = 'start';
ALTER TABLE workspaces ADD FOREIGN KEY (latest_build_id) REFERENCES workspace_builds DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE workspace_build_parameters (
  build_id uuid NOT NULL REFERENCES workspace_builds,
  name text NOT NULL,
  value text NOT NULL,
  PRIMARY KEY (build_id, name)
);

-- What the engine said exists, per job: after a build, or, for an import, per transition.
CREATE TABLE workspace_resources (
  id uuid PRIMARY KEY,
  job_id uuid NOT NULL REFERENCES provisioner_jobs,
  transition text NOT NULL CHECK (transition IN ('start', 'stop', 'delete')),
  type text NOT NULL,
  name text NOT NULL,
  hide boolean NOT NULL DEFAULT false,
  icon text NOT NULL DEFAULT '',
  instance_type text NOT NULL DEFAULT '',
  daily_cost integer NOT NULL DEFAULT 0,
  -- [{"key","value","sensitive"}]; a sensitive value is stored empty.
  metadata jsonb NOT NULL DEFAULT '[]'
);
CREATE INDEX workspace_resources_job_idx ON workspace_resources (job_id);

CREATE TABLE workspace_agents (
  id uuid PRIMARY KEY,
  resource_id uuid NOT NULL REFERENCES workspace_resources,
  name text NOT NULL,
  operating_system text NOT NULL,
  architecture text NOT NULL,
  directory text NOT NULL DEFAULT '',
  -- SHA-256 of the token the engine gave the agent; NULL in an import.
  hashed_token bytea CHECK (octet_length(hashed_token) = 32),
  display_order integer NOT NULL DEFAULT 0
);
CREATE INDEX workspace_agents_resource_idx ON workspace_agents (resource_id);

CREATE TABLE workspace_apps (
  agent_id uuid NOT NULL REFERENCES workspace_agents,
  slug text NOT NULL,
  display_name text NOT NULL DEFAULT '',
  url text NOT NULL DEFAULT '',
  command text NOT NULL DEFAULT '',
  icon text NOT NULL DEFAULT '',
  sharing_level text NOT NULL DEFAULT 'owner' CHECK (sharing_level IN ('owner', 'authenticated', 'organization', 'public')),
  external boolean NOT NULL DEFAULT false,
  hidden boolean NOT NULL DEFAULT false,
  display_order integer NOT NULL DEFAULT 0,
  PRIMARY KEY (agent_id, slug)
);

-- Exactly one row per nominal time and attempt of a lifecycle action: what makes two schedulers, a retry or a replay
-- cause one build, and what answers "why did it not start".
CREATE TABLE lifecycle_outcomes (
  workspace_id uuid NOT NULL REFERENCES workspaces,
  kind text NOT NULL CHECK (kind IN ('autostart', 'autostop', 'failed_cleanup', 'dormancy', 'autodelete')),
  nominal_at timestamptz NOT NULL,
  attempt integer NOT NULL DEFAULT 1 CHECK (attempt >= 1),
  outcome text NOT NULL CHECK (outcome IN ('applied', 'skipped', 'missed')),
  -- A stable word, such as 'USER_SUSPENDED'; empty when applied.
  reason text NOT NULL DEFAULT '',
  detail text NOT NULL DEFAULT '' CHECK (length(detail) <= 1024),
  build_id uuid REFERENCES workspace_builds,
  decided_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (workspace_id, kind, nominal_at, attempt)
);
CREATE INDEX lifecycle_outcomes_decided_idx ON lifecycle_outcomes (decided_at);

GRANT SELECT, INSERT, UPDATE ON workspaces, workspace_builds, lifecycle_outcomes TO coder_api;
GRANT SELECT, INSERT ON workspace_build_parameters, workspace_resources, workspace_agents, workspace_apps TO coder_api;
GRANT DELETE ON lifecycle_outcomes TO coder_api;
