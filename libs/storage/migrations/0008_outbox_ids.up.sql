-- Nobody chooses an id: one ahead of the sequence would carry the sequencer's floor past ids that are still to be drawn,
-- and their events would never be given a position.
ALTER TABLE outbox ALTER COLUMN id DROP DEFAULT;
ALTER SEQUENCE outbox_id_seq RENAME TO outbox_former_id_seq;
ALTER TABLE outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME outbox_id_seq CACHE 1);
DO $$
BEGIN
  PERFORM setval('outbox_id_seq', last_value, is_called) FROM outbox_former_id_seq;
END $$;
DROP SEQUENCE outbox_former_id_seq;
