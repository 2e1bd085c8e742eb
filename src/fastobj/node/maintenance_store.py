"""The store as the maintenance process holds it: what a worker has, in less memory."""

from __future__ import annotations

from fastobj.core.clock import SystemClock
from fastobj.core.limits import MAINTENANCE_BODY_BYTES_MAX
from fastobj.core.metric_page import ProcessCells
from fastobj.meta.base import MetaReader
from fastobj.node.child import ChildContext
from fastobj.node.encryption import encryption_rules
from fastobj.objects.buckets import BucketCache
from fastobj.objects.ledger import Ledger
from fastobj.objects.segment_rows import SegmentRows
from fastobj.objects.store import Store
from fastobj.storage.local_volume import LocalVolume
from fastobj.storage.pool import IoPool


def maintenance_store(
    context: ChildContext, engine: MetaReader, ledger: Ledger, pool: IoPool, cells: ProcessCells
) -> Store:
    """A store over the open database, the link to the committer, and pool and cells of this
    process.

    Its volume writes segments of its own, of which this process is the owner. It begins no sums of
    whole bodies: no body comes from a client here.
    """
    settings = context.settings
    volume = LocalVolume(
        str(context.layout.root),
        pool,
        SegmentRows(ledger, context.owner),
        MAINTENANCE_BODY_BYTES_MAX,
        leaves_reserve=False,
    )
    return Store(
        meta=BucketCache(engine, context.page.epochs),
        ledger=ledger,
        volume=volume,
        clock=SystemClock(),
        epochs=context.page.epochs,
        region=settings.region,
        small_body_bytes_max=settings.small_body_bytes_max,
        parts_max=settings.parts_max,
        upload_expiry_days=settings.upload_expiry_days,
        lifecycle_day_s=settings.lifecycle_day_seconds,
        event_targets=settings.event_targets,
        encryption=encryption_rules(settings, context.layout, cells.add),
    )
