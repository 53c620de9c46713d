"""Rows in the outbox that no service would write."""

import uuid


class Outbox:
    """Undecodable rows between good ones; one that is too large is refused by the table."""

    name = "outbox-poison"
    wanted = 20

    def run(self, world, random):
        """One round; returns what was done."""
        kinds = {"zeros": "\\x" + "00" * random.randint(1, 300), "ones": "\\x" + "ff" * random.randint(1, 300),
                 "a cut event": "\\x0a40" + "0a24" + "61" * 8, "an empty event": "\\x0a00"}
        kind = random.choice(list(kinds))
        world.query(f"INSERT INTO outbox (workspace_id, workspace_version, payload) "
                    f"VALUES ('{uuid.UUID(int=random.getrandbits(128))}', 1, '{kinds[kind]}')")
        try:
            world.query("INSERT INTO outbox (workspace_id, workspace_version, payload) "
                        f"VALUES ('{uuid.UUID(int=1)}', 1, repeat('x', 20000)::bytea)")
        except AssertionError:
            return f"{kind}; 20,000 bytes are refused"
        raise AssertionError("the outbox took a row of 20,000 bytes")


FAULTS = [Outbox()]
