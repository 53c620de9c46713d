"""Rows in the outbox that no service would write."""

import uuid


class Outbox:
    """Undecodable rows between good ones; one that is too large or takes a place of its choice is refused by the table."""

    name = "outbox-poison"
    wanted = 20

    def run(self, world, random):
        """One round; returns what was done."""
        kinds = {"zeros": "\\x" + "00" * random.randint(1, 300), "ones": "\\x" + "ff" * random.randint(1, 300),
                 "a cut event": "\\x0a40" + "0a24" + "61" * 8, "an empty event": "\\x0a00"}
        kind = random.choice(list(kinds))
        world.query(f"INSERT INTO outbox (workspace_id, workspace_version, payload) "
                    f"VALUES ('{uuid.UUID(int=random.getrandbits(128))}', 1, '{kinds[kind]}')")
        self._is_refused(world, "workspace_id, workspace_version, payload", f"'{uuid.UUID(int=1)}', 1, repeat('x', 20000)::bytea")
        # Far ahead of what the sequence will give: what comes after it would be out of order.
        self._is_refused(world, "id, workspace_id, workspace_version, payload", f"{10**9}, '{uuid.UUID(int=1)}', 1, '\\x00'")
        return f"{kind}; 20,000 bytes and an id of one's own are refused"

    def _is_refused(self, world, columns, values):
        try:
            world.query(f"INSERT INTO outbox ({columns}) VALUES ({values})")
        except AssertionError:
            return
        raise AssertionError(f"OnlyCommitted: the outbox took a row of {values}")


FAULTS = [Outbox()]
