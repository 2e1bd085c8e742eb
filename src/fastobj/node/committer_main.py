"""The committer's process: opens the store, then serves links."""

from __future__ import annotations

import logging
from typing import Final

from fastobj.core.errors import FastobjError, StoreError, SyncFailed
from fastobj.node import links
from fastobj.node.child import ChildContext
from fastobj.node.committer import EXIT_FENCED, Committer
from fastobj.node.committer_store import CommitterStore, leave_fence

EXIT_REFUSED: Final = 76  # the first committer of a server cannot open the store: it ends too


def run(context: ChildContext) -> int:
    """Recovers the store and commits until told to stop; returns the exit status."""
    try:
        store = CommitterStore(context.layout, context.settings, context.page)
    except FastobjError as error:
        if isinstance(error, SyncFailed):
            leave_fence(context.layout, error)
        if not context.is_first:
            raise
        logging.getLogger("fastobj.committer").critical("the store cannot be opened: %s", error)
        return EXIT_REFUSED
    links.send(context.control, links.READY)
    committer = Committer(store, context.control)
    status = committer.run()
    committer.close()
    if status == EXIT_FENCED:  # after a failed sync nothing more is asked of the files
        return status
    try:
        store.close()
    except StoreError as error:  # the last checkpoint, whose thread nobody had asked yet
        leave_fence(context.layout, error)
        return EXIT_FENCED
    return status
