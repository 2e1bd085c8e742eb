"""Segments as rows and volumes name them: their kinds and states. The numbers are the format's."""

from __future__ import annotations

from typing import Final

LOCATION_BYTES: Final = 32  # of a body's place, wherever it stands

SEGMENT_LOG: Final = 0
SEGMENT_EXTENTS: Final = 1  # bodies of several objects
SEGMENT_BODY: Final = 2  # one body with a file of its own

SEGMENT_OPEN: Final = 0
SEGMENT_SEALED: Final = 1
