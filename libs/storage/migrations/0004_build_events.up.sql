-- Committed events on their way into the log. Every writer locks the workspace row, bumps its event_version and then
-- draws the id here, so ids and versions of one workspace follow commit order.
CREATE SEQUENCE outbox_id_seq AS bigint CACHE 1;
CREATE TABLE outbox (
  id bigint PRIMARY KEY DEFAULT nextval('outbox_id_seq'),
  workspace_id uuid NOT NULL,
  workspace_version bigint NOT NULL,
  -- One BuildEventPack.events entry: field tag, length and bytes, so that concatenating rows makes a pack.
  payload bytea NOT NULL CHECK (octet_length(payload) BETWEEN 1 AND 16384),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
ALTER TABLE outbox ALTER COLUMN payload SET STORAGE EXTERNAL;
ALTER SEQUENCE outbox_id_seq OWNED BY outbox.id;

-- The log: the truth about order. One row is up to 64 events at consecutive positions.
CREATE TABLE build_event_packs (
  first_position bigint NOT NULL CHECK (first_position >= 1),
  last_position bigint NOT NULL,
  epoch bigint NOT NULL,
  last_event_id bigint NOT NULL,
  payload bytea NOT NULL,
  -- When the oldest event of the pack was committed to the outbox, and when the pack was sequenced.
  committed_at timestamptz NOT NULL,
  sequenced_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (first_position),
  CHECK (last_position BETWEEN first_position AND first_position + 63)
) PARTITION BY RANGE (first_position);

-- The sequencer's only row; its lock is what makes two relays safe.
CREATE TABLE relay_cursor (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  -- Rises when the database went back in time; tokens of an older epoch are refused.
  epoch bigint NOT NULL DEFAULT 1,
  -- The last position given out; 0: none.
  head bigint NOT NULL DEFAULT 0,
  last_event_id bigint NOT NULL DEFAULT 0,
  -- No outbox row at or below this id can still appear.
  outbox_floor bigint NOT NULL DEFAULT 0,
  -- Everything up to here is acknowledged by the stream.
  confirmed_position bigint NOT NULL DEFAULT 0,
  -- Positions below this one have been dropped from the log.
  log_floor bigint NOT NULL DEFAULT 1,
  updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
INSERT INTO relay_cursor DEFAULT VALUES;

-- Partitions of one million positions, made ahead of the head. Returns how many were made.
CREATE FUNCTION ensure_event_log_partitions(ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  width CONSTANT bigint := 1000000;
  wanted bigint;
  made integer := 0;
BEGIN
  IF ahead NOT BETWEEN 1 AND 100 THEN
    RAISE EXCEPTION 'ensure event log partitions: % ahead is outside 1..100', ahead USING ERRCODE = '22023';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('event_log_partitions'));
  FOR wanted IN SELECT generate_series(head / width, head / width + ahead) FROM public.relay_cursor LOOP
    IF to_regclass(format('public.build_event_packs_p%s', wanted)) IS NULL THEN
      EXECUTE format('CREATE TABLE public.build_event_packs_p%s PARTITION OF public.build_event_packs
                      FOR VALUES FROM (%s) TO (%s)', wanted, wanted * width, (wanted + 1) * width);
      made := made + 1;
    END IF;
  END LOOP;
  RETURN made;
END
$$;

-- Drops partitions that lie wholly below `keep_from`, never above what the relay has confirmed. Returns the log's floor.
CREATE FUNCTION drop_event_log_partitions(keep_from bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  width CONSTANT bigint := 1000000;
  keep bigint;
  part text;
  number bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('event_log_partitions'));
  SELECT least(keep_from, confirmed_position) / width INTO keep FROM public.relay_cursor FOR UPDATE;
  FOR part IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'public.build_event_packs'::regclass
  LOOP
    number := substring(part FROM '_p(\d+)$')::bigint;
    IF number < keep THEN
      EXECUTE format('DROP TABLE public.%I', part);
    END IF;
  END LOOP;
  UPDATE public.relay_cursor SET log_floor = greatest(log_floor, keep * width);
  RETURN (SELECT log_floor FROM public.relay_cursor);
END
$$;
REVOKE ALL ON FUNCTION ensure_event_log_partitions(integer), drop_event_log_partitions(bigint) FROM PUBLIC;
SELECT ensure_event_log_partitions(2);

GRANT SELECT, INSERT ON outbox TO coder_api;
GRANT USAGE ON SEQUENCE outbox_id_seq TO coder_api;
GRANT SELECT ON build_event_packs, relay_cursor TO coder_api;
GRANT SELECT, DELETE ON outbox TO coder_relay;
GRANT SELECT, INSERT ON build_event_packs TO coder_relay;
GRANT SELECT, UPDATE ON relay_cursor TO coder_relay;
GRANT EXECUTE ON FUNCTION ensure_event_log_partitions(integer), drop_event_log_partitions(bigint) TO coder_relay;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO coder_api;
