"""The delivery of events as the maintenance process runs it, and how a person asks for a replay."""

from __future__ import annotations

import logging
from pathlib import Path

from fastobj.background.delivery import Delivery, Outbox
from fastobj.core.metric_page import ProcessCells
from fastobj.events.webhook import WebhookTarget
from fastobj.node.child import ChildContext
from fastobj.node.layout import write_durably
from fastobj.objects.store import Store


def delivery_of(context: ChildContext, store: Store, cells: ProcessCells) -> Delivery:
    """What delivers events to the targets that settings name."""
    settings = context.settings
    outbox = Outbox(store.meta, store.ledger, cells, store.clock, settings.events_retention)
    return Delivery(
        outbox,
        [WebhookTarget(webhook) for webhook in settings.notify_webhook],
        cells,
        events_max=settings.events_max,
        replays=ReplayFolder(context.layout.replays),
    )


class ReplayFolder:
    """Requests for replays: a file named as the target holds since when, in nanoseconds.

    A command leaves it there, and delivery looks for it every few seconds.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = logging.getLogger("fastobj.events")

    def ask(self, target: str, since_ns: int) -> None:
        """Asks for one. Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_durably(self._folder / target, b"%d\n" % since_ns)

    def wanted(self) -> list[tuple[str, int]]:
        """Targets, and since when, in nanoseconds since the Unix epoch."""
        if not self._folder.is_dir():
            return []
        found: list[tuple[str, int]] = []
        for path in sorted(self._folder.iterdir()):
            if path.suffix:  # it is being written
                continue
            try:
                found.append((path.name, int(path.read_text())))
            except (OSError, ValueError) as error:
                self._log.warning("%s asks for no replay that is understood: %s", path, error)
        return found

    def begun(self, target: str) -> None:
        """That has been seen to."""
        (self._folder / target).unlink(missing_ok=True)
