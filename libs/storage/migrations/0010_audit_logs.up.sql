-- One row a call that changes something, whoever made it and however it ended. Nothing refers to other tables: what a
-- record tells of outlives its objects.
CREATE TABLE audit_logs (
  id uuid PRIMARY KEY,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  organization_id uuid,
  actor_user_id uuid,
  -- "user:<id>", "provisioner:<key id>", "service" or "anonymous".
  actor text NOT NULL CHECK (actor <> ''),
  actor_name text NOT NULL CHECK (octet_length(actor_name) <= 256),
  -- The public part of a session's or API token's text.
  token_id text NOT NULL CHECK (octet_length(token_id) <= 64),
  address text NOT NULL CHECK (octet_length(address) <= 256),
  user_agent text NOT NULL CHECK (octet_length(user_agent) <= 256),
  request_id text NOT NULL CHECK (octet_length(request_id) <= 128),
  method text NOT NULL CHECK (method <> ''),
  action text NOT NULL CHECK (action IN ('create', 'write', 'delete', 'start', 'stop', 'login', 'logout')),
  resource_type text NOT NULL CHECK (resource_type <> ''),
  resource_id text NOT NULL CHECK (octet_length(resource_id) <= 256),
  resource_name text NOT NULL CHECK (octet_length(resource_name) <= 256),
  outcome text NOT NULL CHECK (outcome IN ('allowed', 'denied', 'failed')),
  status_code text NOT NULL CHECK (status_code <> ''),
  reason text NOT NULL CHECK (octet_length(reason) <= 64),
  details jsonb NOT NULL CHECK (jsonb_typeof(details) = 'object' AND octet_length(details::text) <= 16384)
);
CREATE INDEX audit_logs_time_idx ON audit_logs (recorded_at, id);
CREATE INDEX audit_logs_organization_idx ON audit_logs (organization_id, recorded_at, id);
CREATE INDEX audit_logs_actor_idx ON audit_logs (actor_user_id, recorded_at, id);
CREATE INDEX audit_logs_resource_idx ON audit_logs (resource_id, recorded_at, id);

-- Records are never changed; they go when their time is over.
GRANT SELECT, INSERT, DELETE ON audit_logs TO coder_api;
