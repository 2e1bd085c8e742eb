"""A process that commits one transaction after the other and says so: killed at a named point.

Arguments: the store's directory and how many. Each line: `sent <id> <since>`, then `done <id>`.
"""

import asyncio
import os
import sys
from pathlib import Path

from fastobj._ext.crc import crc32c
from fastobj.core.crash_points import configure
from fastobj.core.limits import KIB
from fastobj.meta import keys
from fastobj.meta.base import ABSENT, BodyRef, Row, Txn, new_txn_id
from fastobj.objects.ledger import Entry
from fastobj.storage.base import NO_LOCATION, SmallBody, new_data_id
from fastobj.testing.local_store import LocalStore

SEGMENT_BYTES = (128 * KIB, 128 * KIB)


def put(key: bytes, payload: bytes) -> Entry:
    """A transaction that keeps a small body."""
    data_id = new_data_id()
    row = Row(keys.CURRENT, key, ABSENT, NO_LOCATION + data_id)
    body = SmallBody(data_id, payload, crc32c(payload), b"")
    return Entry(Txn(new_txn_id(), [row], [], [BodyRef(data_id, 0, 0)]), [body])


async def _commit(directory: Path, count: int) -> None:
    with LocalStore(directory, segment_bytes=SEGMENT_BYTES) as store:
        for _ in range(count):
            since = store.ledger.last_sequence
            entry = put(os.urandom(8), os.urandom(20 * KIB))
            name = entry.txn.id.hex()
            sys.stdout.write(f"sent {name} {since} {entry.txn.rows[0].key.hex()}\n")
            sys.stdout.flush()
            await store.ledger.commit(entry)
            sys.stdout.write(f"done {name}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    configure(os.environ.get("FASTOBJ_CRASH_AT"))
    asyncio.run(_commit(Path(sys.argv[1]), int(sys.argv[2])))
