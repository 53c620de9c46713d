-- A daily schedule with its CRON_TZ; NULL: the deployment's default.
ALTER TABLE users ADD COLUMN quiet_hours_schedule text;

ALTER TABLE templates
  -- Autostarts are spread over this long after the nominal time.
  ADD COLUMN autostart_spread interval NOT NULL DEFAULT interval '0'
    CHECK (autostart_spread BETWEEN interval '0' AND interval '1 hour'),
  -- Of one nominal autostart, the first included.
  ADD COLUMN autostart_max_attempts smallint NOT NULL DEFAULT 1 CHECK (autostart_max_attempts BETWEEN 1 AND 10),
  -- After the first failure; doubled after each further one.
  ADD COLUMN autostart_retry_delay interval NOT NULL DEFAULT interval '5 minutes'
    CHECK (autostart_retry_delay BETWEEN interval '1 minute' AND interval '1 hour'),
  -- How long before a deadline an event reminds of it; NULL: not at all.
  ADD COLUMN autostop_reminder interval CHECK (autostop_reminder BETWEEN interval '1 minute' AND interval '1 day');

-- Nominal autostarts up to this one are left out; NULL: none.
ALTER TABLE workspaces ADD COLUMN autostart_skip_until timestamptz;

-- Days without autostarts, each a day in the zone of the schedule it is held against.
CREATE TABLE autostart_blackouts (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations,
  -- NULL: all templates of the organization.
  template_id uuid REFERENCES templates,
  first_day date NOT NULL,
  last_day date NOT NULL,
  reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 256),
  created_by uuid NOT NULL REFERENCES users,
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK (last_day - first_day BETWEEN 0 AND 365)
);
CREATE INDEX autostart_blackouts_organization_idx ON autostart_blackouts (organization_id, last_day);

ALTER TABLE lifecycle_outcomes DROP CONSTRAINT lifecycle_outcomes_kind_check;
ALTER TABLE lifecycle_outcomes ADD CONSTRAINT lifecycle_outcomes_kind_check
  CHECK (kind IN ('autostart', 'autostop', 'failed_cleanup', 'dormancy', 'autodelete', 'autostop_reminder'));
-- Which nominal time a build is for.
CREATE INDEX lifecycle_outcomes_build_idx ON lifecycle_outcomes (build_id) WHERE build_id IS NOT NULL;

GRANT SELECT, INSERT, DELETE ON autostart_blackouts TO coder_api;
