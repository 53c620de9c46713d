-- Every new build asks whether its workspace has a late state that nobody has decided on; hardly any has.
CREATE INDEX workspace_builds_late_state_idx ON workspace_builds (workspace_id)
  WHERE late_state IS NOT NULL AND late_state_resolution IS NULL;
