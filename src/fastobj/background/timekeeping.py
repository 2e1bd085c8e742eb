"""Keeps trusted time: saves now and then how far it is, and tells where the clock contradicts it.

Where no bucket ever had a lock there is no time to keep, and nothing happens. What an operator
confirms comes as a file, so that the same command works whether a server runs or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from fastobj.core.errors import FastobjError, StoreError
from fastobj.meta import records
from fastobj.meta.base import ANY
from fastobj.meta.records import TrustedTimeRecord
from fastobj.objects import trusted_time
from fastobj.objects.store import Store
from fastobj.objects.trusted_time import Moment, State
from fastobj.storage import io

SAVE_S: Final = 600.0
LOOK_S: Final = 30.0  # at the clocks, and for what somebody confirms
AGAIN_S: Final = 2.0  # where they contradict each other, so that somebody is expected
_WORDS: Final = {
    State.AGREES: "the wall clock agrees with the trusted time again",
    State.AHEAD: (
        "the wall clock is {ahead_s:.0f} s ahead of the trusted time: no retention of a locked"
        " object ends until it is set right. If it is right, say so: fastobj clock confirm {root}"
    ),
    State.BEHIND: (
        "the wall clock is {behind_s:.0f} s behind the trusted time: retention of locked objects"
        " ends by the wall clock. Set it right; if it is right, say so: fastobj clock confirm"
        " {root}"
    ),
    State.UNKNOWN: (
        "the trusted time cannot be read: no retention of a locked object ends. If the wall clock"
        " is right, say so: fastobj clock confirm {root}"
    ),
}


class Confirmation(msgspec.Struct, frozen=True):
    """The contents of the file, as JSON: see TrustedTimeRecord for each field."""

    time_ns: int
    boot: str
    elapsed_ns: int


def confirmation(record: TrustedTimeRecord) -> bytes:
    """What the file holds that makes this record the trusted time."""
    return msgspec.json.encode(Confirmation(record.time_ns, record.boot, record.elapsed_ns)) + b"\n"


class Timekeeper:
    """The trusted time of one store. `confirmed` is the file that an operator's command leaves."""

    def __init__(self, store: Store, confirmed: Path) -> None:
        self._store = store
        self._confirmed = confirmed
        self._poked = asyncio.Event()
        self._told = State.AGREES
        self._log = logging.getLogger("fastobj.clock")

    def poke(self) -> None:
        """A first bucket may have a lock now."""
        self._poked.set()

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            self._poked.clear()
            try:
                pause_s = await self.step()
            except FastobjError as error:
                self._log.warning("the trusted time is not saved: %s", error)
                pause_s = AGAIN_S
            if pause_s is None:
                await self._poked.wait()
            else:
                await asyncio.sleep(pause_s)

    async def step(self) -> float | None:
        """Saves how far it is, if it is time to; seconds until the next look, None: when there is a
        lock.

        Raises what a commit raises.
        """
        await self._take_confirmed()
        try:
            found = await trusted_time.load(self._store.meta)
        except StoreError as error:
            self._tell(Moment(State.UNKNOWN, 0, 0))
            self._log.debug("the row of the trusted time: %s", error)
            return AGAIN_S
        if found is None:
            return None
        record, token = found
        now = trusted_time.reading(self._store)
        moment = trusted_time.judge(record, now)
        self._tell(moment)
        is_new = record.boot != now.uptime.boot or record.elapsed_ns > now.uptime.elapsed_ns
        since_s = (now.uptime.elapsed_ns - record.elapsed_ns) / 1e9
        if is_new or since_s >= SAVE_S or record.jumped != (moment.state is State.AHEAD):
            await trusted_time.save(self._store, trusted_time.advanced(record, now), token)
        return LOOK_S if moment.state is State.AGREES else AGAIN_S

    def _tell(self, moment: Moment) -> None:
        if moment.state is self._told:
            return
        self._told = moment.state
        level = logging.INFO if moment.state is State.AGREES else logging.ERROR
        words = _WORDS[moment.state].format(
            ahead_s=moment.ahead_s, behind_s=-moment.ahead_s, root=self._confirmed.parent
        )
        self._log.log(level, "%s", words)

    # --- what an operator confirms

    async def _take_confirmed(self) -> None:
        """Raises what a commit raises; then the file stays."""
        record = self._read()
        if record is None:
            return
        await trusted_time.save(self._store, record, ANY)
        self._forget()
        self._told = State.AGREES
        self._log.warning("an operator has confirmed the wall clock: retention ends by it again")

    def _read(self) -> TrustedTimeRecord | None:
        try:
            said = msgspec.json.decode(self._confirmed.read_bytes(), type=Confirmation)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise io.store_error(error, str(self._confirmed), "read") from error
        except (msgspec.MsgspecError, ValueError) as error:
            self._log.error("%s confirms no time and is removed: %s", self._confirmed, error)
            self._forget()
            return None
        return TrustedTimeRecord(records.FORMAT, said.time_ns, said.boot, said.elapsed_ns)

    def _forget(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._confirmed)
