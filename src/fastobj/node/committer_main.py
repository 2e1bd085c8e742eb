"""The committer's process: opens the store, then serves links."""

from __future__ import annotations

from fastobj.node.child import ChildContext
from fastobj.node.committer import Committer
from fastobj.node.committer_store import CommitterStore


def run(context: ChildContext) -> int:
    """Recovers the store and commits until told to stop; returns the exit status."""
    store = CommitterStore(
        context.layout, context.settings, context.page, context.maintenance_owner
    )
    if context.is_first:  # no worker can be creating a file before it heard from a committer
        store.settle_orphans()
    status = Committer(store, context.control).run()
    store.close()
    return status
