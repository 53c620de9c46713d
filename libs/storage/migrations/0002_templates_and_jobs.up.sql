CREATE TABLE files (
  id uuid PRIMARY KEY,
  sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
  created_by uuid NOT NULL REFERENCES users,
  media_type text NOT NULL,
  -- A validated archive; at most 10 MiB.
  data bytea NOT NULL CHECK (octet_length(data) <= 10485760),
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (sha256, created_by)
);
ALTER TABLE files ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE provisioner_daemons (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations,
  key_id uuid NOT NULL REFERENCES provisioner_keys,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
  version text NOT NULL DEFAULT '',
  provisioners text[] NOT NULL,
  tags jsonb NOT NULL CHECK (jsonb_typeof(tags) = 'object'),
  -- How many jobs it runs at once.
  slots integer NOT NULL CHECK (slots BETWEEN 1 AND 256),
  created_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (organization_id, key_id, name)
);

CREATE TABLE provisioner_jobs (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations,
  initiator_id uuid NOT NULL REFERENCES users,
  type text NOT NULL CHECK (type IN ('template_version_import', 'workspace_build')),
  provisioner text NOT NULL CHECK (provisioner IN ('terraform', 'echo')),
  file_id uuid NOT NULL REFERENCES files,
  tags jsonb NOT NULL CHECK (jsonb_typeof(tags) = 'object'),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  -- The order of the queue: creation plus a head start for jobs a person waits for, so that nothing starves.
  queue_at timestamptz NOT NULL,
  started_at timestamptz,
  canceled_at timestamptz,
  completed_at timestamptz,
  error text NOT NULL DEFAULT '' CHECK (length(error) <= 1024),
  error_code text NOT NULL DEFAULT '',
  worker_id uuid REFERENCES provisioner_daemons,
  -- Who holds this token runs the job until the lease expires, by the database's clock.
  lease_token uuid,
  lease_expires_at timestamptz,
  logs_length integer NOT NULL DEFAULT 0 CHECK (logs_length <= 1048576),
  logs_overflowed boolean NOT NULL DEFAULT false,
  status text NOT NULL GENERATED ALWAYS AS (
    CASE
      WHEN completed_at IS NOT NULL THEN
        CASE WHEN error <> '' THEN 'failed' WHEN canceled_at IS NOT NULL THEN 'canceled' ELSE 'succeeded' END
      WHEN canceled_at IS NOT NULL THEN 'canceling'
      WHEN started_at IS NOT NULL THEN 'running'
      ELSE 'pending'
    END) STORED,
  CHECK (error = '' OR completed_at IS NOT NULL),
  CHECK ((started_at IS NULL) = (lease_token IS NULL)),
  CHECK ((lease_token IS NULL) = (lease_expires_at IS NULL))
) WITH (fillfactor = 75);
CREATE INDEX provisioner_jobs_queue_idx ON provisioner_jobs (organization_id, queue_at, id)
  WHERE started_at IS NULL AND completed_at IS NULL;
CREATE INDEX provisioner_jobs_lease_idx ON provisioner_jobs (lease_expires_at)
  WHERE started_at IS NOT NULL AND completed_at IS NULL;
CREATE INDEX provisioner_jobs_organization_idx ON provisioner_jobs (organization_id, created_at DESC, id);

CREATE TABLE provisioner_job_logs (
  id bigint GENERATED ALWAYS AS IDENTITY,
  job_id uuid NOT NULL REFERENCES provisioner_jobs,
  created_at timestamptz NOT NULL,
  source text NOT NULL CHECK (source IN ('provisioner_daemon', 'provisioner')),
  level text NOT NULL CHECK (level IN ('trace', 'debug', 'info', 'warn', 'error')),
  stage text NOT NULL CHECK (octet_length(stage) <= 128),
  output text NOT NULL CHECK (octet_length(output) <= 1024),
  PRIMARY KEY (job_id, id)
);

CREATE TABLE provisioner_job_timings (
  job_id uuid NOT NULL REFERENCES provisioner_jobs,
  stage text NOT NULL CHECK (stage IN ('init', 'plan', 'graph', 'apply')),
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL CHECK (ended_at >= started_at),
  PRIMARY KEY (job_id, stage)
);

CREATE TABLE templates (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 32),
  display_name text NOT NULL DEFAULT '' CHECK (length(display_name) <= 64),
  description text NOT NULL DEFAULT '' CHECK (length(description) <= 1024),
  icon text NOT NULL DEFAULT '' CHECK (length(icon) <= 256),
  provisioner text NOT NULL CHECK (provisioner IN ('terraform', 'echo')),
  active_version_id uuid NOT NULL,
  created_by uuid NOT NULL REFERENCES users,
  -- NULL: workspaces do not stop by themselves unless their owner says so.
  default_ttl interval CHECK (default_ttl > interval '0'),
  activity_bump interval NOT NULL DEFAULT interval '1 hour' CHECK (activity_bump >= interval '0'),
  allow_user_autostart boolean NOT NULL DEFAULT true,
  allow_user_autostop boolean NOT NULL DEFAULT true,
  allow_user_cancel_workspace_jobs boolean NOT NULL DEFAULT true,
  require_active_version boolean NOT NULL DEFAULT false,
  -- Bit 0 is Monday; a set bit allows autostart on that day.
  autostart_allowed_days smallint NOT NULL DEFAULT 127 CHECK (autostart_allowed_days BETWEEN 0 AND 127),
  -- Bit 0 is Monday; 0: no requirement. Every n-th week.
  autostop_requirement_days smallint NOT NULL DEFAULT 0 CHECK (autostop_requirement_days BETWEEN 0 AND 127),
  autostop_requirement_weeks smallint NOT NULL DEFAULT 1 CHECK (autostop_requirement_weeks BETWEEN 1 AND 16),
  -- NULL turns each of these off.
  failure_ttl interval CHECK (failure_ttl >= interval '1 minute'),
  time_til_dormant interval CHECK (time_til_dormant >= interval '1 minute'),
  time_til_dormant_autodelete interval CHECK (time_til_dormant_autodelete >= interval '1 minute'),
  -- How late a missed autostart may still run.
  autostart_catch_up interval NOT NULL DEFAULT interval '1 hour' CHECK (autostart_catch_up >= interval '0'),
  -- Empty unless deprecated: why, and what to use instead.
  deprecation_message text NOT NULL DEFAULT '' CHECK (length(deprecation_message) <= 1024),
  revision bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);
CREATE UNIQUE INDEX templates_name_key ON templates (organization_id, lower(name)) WHERE deleted_at IS NULL;

CREATE TABLE template_versions (
  id uuid PRIMARY KEY,
  -- NULL until the first version's import has succeeded and the template is made from it.
  template_id uuid REFERENCES templates,
  organization_id uuid NOT NULL REFERENCES organizations,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
  message text NOT NULL DEFAULT '' CHECK (length(message) <= 1024),
  readme text NOT NULL DEFAULT '' CHECK (octet_length(readme) <= 1048576),
  job_id uuid NOT NULL UNIQUE REFERENCES provisioner_jobs,
  created_by uuid NOT NULL REFERENCES users,
  archived_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX template_versions_name_key ON template_versions (template_id, lower(name))
  WHERE template_id IS NOT NULL;
CREATE INDEX template_versions_organization_idx ON template_versions (organization_id, created_at DESC, id);
ALTER TABLE templates ADD FOREIGN KEY (active_version_id) REFERENCES template_versions;

CREATE TABLE template_version_parameters (
  template_version_id uuid NOT NULL REFERENCES template_versions,
  name text NOT NULL,
  display_name text NOT NULL DEFAULT '',
  description text NOT NULL DEFAULT '',
  type text NOT NULL CHECK (type IN ('string', 'number', 'bool', 'list(string)')),
  form_type text NOT NULL DEFAULT '',
  mutable boolean NOT NULL,
  ephemeral boolean NOT NULL DEFAULT false,
  required boolean NOT NULL,
  default_value text NOT NULL DEFAULT '',
  icon text NOT NULL DEFAULT '',
  -- [{"name","description","value","icon"}], empty: any value of the type.
  options jsonb NOT NULL DEFAULT '[]',
  validation_regex text NOT NULL DEFAULT '',
  validation_error text NOT NULL DEFAULT '',
  validation_min bigint,
  validation_max bigint,
  validation_monotonic text NOT NULL DEFAULT '' CHECK (validation_monotonic IN ('', 'increasing', 'decreasing')),
  display_order integer NOT NULL DEFAULT 0,
  PRIMARY KEY (template_version_id, name)
);

-- Terraform input variables; a sensitive value is sealed with the deployment's keyring.
CREATE TABLE template_version_variables (
  template_version_id uuid NOT NULL REFERENCES template_versions,
  name text NOT NULL,
  description text NOT NULL DEFAULT '',
  type text NOT NULL DEFAULT 'string',
  default_value text NOT NULL DEFAULT '',
  required boolean NOT NULL DEFAULT false,
  sensitive boolean NOT NULL DEFAULT false,
  -- NULL: not given, the default holds.
  sealed_value bytea,
  PRIMARY KEY (template_version_id, name)
);

GRANT SELECT, INSERT ON files, provisioner_job_logs, provisioner_job_timings, template_version_parameters TO coder_api;
GRANT SELECT, INSERT, UPDATE ON provisioner_daemons, provisioner_jobs, templates, template_versions,
  template_version_variables TO coder_api;
