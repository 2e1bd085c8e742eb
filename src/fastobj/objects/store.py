"""What the operations of this layer work on: one value handed down by the wiring."""

from __future__ import annotations

from asyncio import Semaphore
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from fastobj.core.clock import Clock, Uptime, uptime
from fastobj.core.limits import (
    CONFIGS_KEPT_BYTES_MAX,
    LIFECYCLE_DAY_S,
    MANIFESTS_KEPT_BYTES_MAX,
    PART_BYTES_MIN,
    PART_COPIES_MAX,
    PART_NUMBER_MAX,
    SMALL_BODY_BYTES_MAX,
    UPLOAD_EXPIRY_DAYS,
)
from fastobj.meta.base import MetaReader
from fastobj.objects.encryption_rules import Rules
from fastobj.objects.kept import Kept
from fastobj.objects.ledger import Ledger
from fastobj.objects.turns import Turns
from fastobj.storage.base import Volume

if TYPE_CHECKING:
    from fastobj.objects.config_rows import KeptConfig
    from fastobj.objects.integrity import WholeSum
    from fastobj.objects.manifest import Parts


class Epochs(Protocol):
    """Tells whether a cached record may have changed since it was read."""

    def read(self, key: bytes) -> int:
        """The present epoch of a cached key: read it *before* the record."""
        ...


@dataclass(slots=True)
class Store:
    """Metadata to read, a ledger to write, a volume for bodies."""

    meta: MetaReader
    ledger: Ledger
    volume: Volume
    clock: Clock
    epochs: Epochs
    region: str = "us-east-1"
    small_body_bytes_max: int = SMALL_BODY_BYTES_MAX
    part_bytes_min: int = PART_BYTES_MIN
    parts_max: int = PART_NUMBER_MAX
    upload_expiry_days: int = UPLOAD_EXPIRY_DAYS
    whole_sum: Callable[[], WholeSum] | None = None  # over each body, into its row
    turns: Turns = field(default_factory=Turns)
    manifests: Kept[Parts] = field(default_factory=partial(Kept, MANIFESTS_KEPT_BYTES_MAX))
    part_copies: Semaphore = field(default_factory=partial(Semaphore, PART_COPIES_MAX))
    event_targets: frozenset[str] = frozenset()  # ids of those that settings name
    configs: Kept[KeptConfig] = field(default_factory=partial(Kept, CONFIGS_KEPT_BYTES_MAX))
    encryption: Rules = field(default_factory=Rules)
    uptime: Callable[[], Uptime] = uptime
    lifecycle_day_s: int = LIFECYCLE_DAY_S
    kms_keys: set[str] = field(default_factory=set)  # of which a row is known to be there
