-- How many log lines the runner has sent, stored or dropped: what makes sending a batch again harmless.
ALTER TABLE provisioner_jobs ADD COLUMN logs_count bigint NOT NULL DEFAULT 0 CHECK (logs_count >= 0);

-- Whether a daemon that offers `offered` may run a job that asks for `wanted`. Both are completed by the organization's
-- own scope; a job that asks for nothing else is for daemons that offer nothing else, any other for daemons that offer
-- at least what it asks for.
CREATE FUNCTION provisioner_tags_match(offered jsonb, wanted jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN (plain || wanted) = plain THEN (plain || offered) = plain
    ELSE (plain || wanted) <@ (plain || offered)
  END
  FROM (SELECT '{"scope": "organization", "owner": ""}'::jsonb) AS organization (plain)
$$;

CREATE INDEX provisioner_daemons_seen_idx ON provisioner_daemons (organization_id, last_seen_at);
