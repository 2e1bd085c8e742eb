"""A stored body as the transaction that names it carries it: the same for parts and manifests."""

from __future__ import annotations

from typing import NamedTuple

from fastobj._ext.crc import crc32c
from fastobj.meta import records
from fastobj.meta.base import Add, BodyRef, Row
from fastobj.objects.put import LargeBody
from fastobj.objects.segment_rows import sealing_rows, usage_add
from fastobj.objects.store import Store
from fastobj.storage.base import NO_LOCATION, SmallBody, new_data_id


class Carried(NamedTuple):
    """What the body puts into its record, and into each try of the transaction.

    `large` is a body that is in its volume already: to be sent, and closed at the end.
    """

    data_id: bytes
    location: bytes
    bodies: tuple[SmallBody, ...] = ()
    rows: tuple[Row, ...] = ()
    adds: tuple[Add, ...] = ()
    large: LargeBody | None = None

    def refs(self, row: int, value: bytes) -> list[BodyRef]:
        """Where the ledger writes the place of a small body: into `value`, that of row `row`."""
        offset = records.location_offset(value)
        return [BodyRef(body.data_id, row, offset) for body in self.bodies]

    def send(self) -> None:
        """A transaction that names the body is about to be sent."""
        if self.large is not None:
            self.large.send()

    async def close(self, error: BaseException | None) -> None:
        """No transaction will be sent any more; `error` is how the last one ended."""
        if self.large is not None:
            await self.large.close(error)


def carry_small(payload: bytes, hint: bytes) -> Carried:
    """A body that travels with its transaction; an empty one is no body at all."""
    if not payload:
        return Carried(b"", NO_LOCATION)
    data_id = new_data_id()
    return Carried(data_id, NO_LOCATION, (SmallBody(data_id, payload, crc32c(payload), hint),))


def carry_large(store: Store, body: LargeBody) -> Carried:
    """A body that is durable in its volume."""
    return Carried(
        body.data_id,
        body.location.encode(),
        rows=tuple(sealing_rows(body.writer)),
        adds=(usage_add(store.volume.accounts(body.location, +1)),),
        large=body,
    )
