-- Group roles of the services; a deployment grants them to (or makes them) login roles. The relay sees the outbox, the
-- log and its cursor only.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'coder_api') THEN
    CREATE ROLE coder_api NOLOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'coder_relay') THEN
    CREATE ROLE coder_relay NOLOGIN;
  END IF;
EXCEPTION
  -- Another database of the same cluster is being migrated at this moment.
  WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

CREATE TABLE organizations (
  id uuid PRIMARY KEY,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 32),
  display_name text NOT NULL DEFAULT '' CHECK (length(display_name) <= 64),
  description text NOT NULL DEFAULT '' CHECK (length(description) <= 1024),
  is_default boolean NOT NULL DEFAULT false,
  revision bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);
CREATE UNIQUE INDEX organizations_name_key ON organizations (lower(name)) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX organizations_default_key ON organizations (is_default) WHERE is_default;

CREATE TABLE users (
  id uuid PRIMARY KEY,
  email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
  username text NOT NULL CHECK (length(username) BETWEEN 1 AND 32),
  name text NOT NULL DEFAULT '' CHECK (length(name) <= 128),
  -- argon2id in libsodium's text form; NULL for a user who cannot log in with a password.
  password_hash text,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'dormant', 'suspended')),
  -- Site roles beyond the implicit 'member'.
  site_roles text[] NOT NULL DEFAULT '{}'
    CHECK (site_roles <@ ARRAY['owner', 'template-admin', 'user-admin', 'auditor']),
  -- Rises whenever what the user may see or do changes (roles, membership, status); open streams compare it.
  access_version bigint NOT NULL DEFAULT 1,
  revision bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz,
  deleted_at timestamptz
);
CREATE UNIQUE INDEX users_username_key ON users (lower(username)) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX users_email_key ON users (lower(email)) WHERE deleted_at IS NULL;

-- One row once the first user exists: its primary key is what makes that creation happen once.
CREATE TABLE first_user (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  user_id uuid NOT NULL REFERENCES users,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE organization_members (
  organization_id uuid NOT NULL REFERENCES organizations,
  user_id uuid NOT NULL REFERENCES users,
  -- Organization roles beyond the implicit 'member'.
  roles text[] NOT NULL DEFAULT '{}' CHECK (roles <@ ARRAY['admin', 'template-admin']),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX organization_members_user_idx ON organization_members (user_id);

-- Sessions (from a log-in) and API tokens (named, made by their user). The text form a client holds is
-- '<id>-<secret>'; only the SHA-256 of the secret is stored.
CREATE TABLE api_keys (
  id text PRIMARY KEY CHECK (length(id) = 10),
  hashed_secret bytea NOT NULL CHECK (octet_length(hashed_secret) = 32),
  user_id uuid NOT NULL REFERENCES users,
  kind text NOT NULL CHECK (kind IN ('session', 'token')),
  token_name text NOT NULL DEFAULT '' CHECK (length(token_name) <= 64),
  lifetime interval NOT NULL,
  expires_at timestamptz NOT NULL,
  last_used_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((kind = 'token') = (token_name <> ''))
);
CREATE INDEX api_keys_user_idx ON api_keys (user_id);
CREATE UNIQUE INDEX api_keys_token_name_key ON api_keys (user_id, lower(token_name))
  WHERE kind = 'token' AND revoked_at IS NULL;

-- What a provisioner daemon of one organization authenticates with. The tags are fixed with the key.
CREATE TABLE provisioner_keys (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
  hashed_secret bytea NOT NULL UNIQUE CHECK (octet_length(hashed_secret) = 32),
  tags jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(tags) = 'object'),
  created_by uuid NOT NULL REFERENCES users,
  created_at timestamptz NOT NULL DEFAULT now(),
  revoked_at timestamptz
);
CREATE UNIQUE INDEX provisioner_keys_name_key ON provisioner_keys (organization_id, lower(name))
  WHERE revoked_at IS NULL;

-- The same create sent twice is one effect and one answer. Kept for 24 hours.
CREATE TABLE idempotent_requests (
  caller text NOT NULL,
  method text NOT NULL,
  request_id uuid NOT NULL,
  request_hash bytea NOT NULL CHECK (octet_length(request_hash) = 32),
  response bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (caller, method, request_id)
);
CREATE INDEX idempotent_requests_created_idx ON idempotent_requests (created_at);

GRANT SELECT, INSERT, UPDATE ON organizations, users, organization_members, api_keys, provisioner_keys TO coder_api;
GRANT DELETE ON organization_members, api_keys TO coder_api;
GRANT SELECT, INSERT ON first_user TO coder_api;
GRANT SELECT, INSERT, DELETE ON idempotent_requests TO coder_api;
