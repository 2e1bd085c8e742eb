"""The kinds and states of segments, as rows and volumes name them. The numbers are the format's."""

from __future__ import annotations

from typing import Final

SEGMENT_LOG: Final = 0
SEGMENT_EXTENTS: Final = 1  # bodies of several objects
SEGMENT_BODY: Final = 2  # one body with a file of its own

SEGMENT_OPEN: Final = 0
SEGMENT_SEALED: Final = 1
