-- Since when a workspace's autostart schedule has been what it is: it says nothing of the time before.
ALTER TABLE workspaces ADD COLUMN autostart_set_at timestamptz NOT NULL DEFAULT now();
