"""I/O that fails, stalls, tears or lies on purpose, for tests: off unless the environment asks.

`FASTOBJ_FAULTS` holds rules between semicolons. A rule begins with the calls that it is for
(`write`, `read,write`, `any`); then, each behind a colon, in any order:

    path=GLOB       only where the whole path matches; `*` matches slashes too
    role=NAME       only in processes of that role
    nth=N           fires at the N-th matching call alone; or with times=M, so many times from it on
    from=N          fires at the N-th and every later one; without both: at every call
    error=NAME      what the call fails with, as errno names it; an EINTR is tried again as it is
                    after a signal, but for a sync on a native thread
    drop            the failed sync loses what it was to sync: see RECORD_SYNC_LOST
    short[=BYTES]   a read or write does so much, half by default, and says so
    tear[=BYTES]    a write does so much, and the rest of it fails, with EIO or `error`
    lie             the call does nothing and says that it did
    flip[=BIT]      what is read has another bit
    stall=TIME      the call begins that much later (`200ms`, `2s`)
    count           nothing: matching calls are counted, as for every rule

`FASTOBJ_FAULTS_COUNTED` names a file in which all processes count together: 8 bytes for each rule.
Without it each process counts its own calls.

One table of rules, in `_ext.segio`, serves the calls of `storage.io`, those of the native threads
and, by way of `meta.instrumented_vfs`, those of SQLite; only its shared memory and its locks are
out of reach.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from fastobj._ext import segio
from fastobj.core.errors import StoreError

StrPath = str | os.PathLike[str]

VARIABLE: Final = "FASTOBJ_FAULTS"
COUNTED_VARIABLE: Final = "FASTOBJ_FAULTS_COUNTED"

CALLS: Final = {
    "create": segio.CALL_CREATE,
    "open": segio.CALL_OPEN,
    "read": segio.CALL_READ,
    "write": segio.CALL_WRITE,
    "sync": segio.CALL_SYNC,
    "truncate": segio.CALL_TRUNCATE,
    "allocate": segio.CALL_ALLOCATE,
    "rename": segio.CALL_RENAME,
    "unlink": segio.CALL_UNLINK,
    "sync_directory": segio.CALL_SYNC_DIRECTORY,
}
_ANY: Final = sum(CALLS.values())
_TRANSFERS: Final = segio.CALL_READ | segio.CALL_WRITE
_SYNCS: Final = segio.CALL_SYNC | segio.CALL_SYNC_DIRECTORY
_OPENS: Final = segio.CALL_CREATE | segio.CALL_OPEN
_TIME: Final = re.compile(r"(\d+)(ms|s)")


@dataclass(slots=True)
class Rule:
    """One rule, as `_ext.segio` takes it: see segio_fault.h."""

    calls: int = 0
    pattern: str = ""
    first: int = 1
    times: int = 0
    kind: int = 0
    error: int = 0
    drops: bool = False
    amount: int = 0
    role: str = ""


def _number(text: str, least: int = 1) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise ValueError(f"{text!r} is no number from {least} on")
    return int(text)


def _path(rule: Rule, text: str) -> None:
    rule.pattern = text


def _role(rule: Rule, text: str) -> None:
    rule.role = text


def _nth(rule: Rule, text: str) -> None:
    rule.first, rule.times = _number(text), rule.times or 1


def _from(rule: Rule, text: str) -> None:
    rule.first = _number(text)


def _times(rule: Rule, text: str) -> None:
    rule.times = _number(text)


def _error(rule: Rule, text: str) -> None:
    found = getattr(errno, text, None)
    if not isinstance(found, int):
        raise ValueError(f"{text!r} is no errno: EIO, ENOSPC, EDQUOT, EMFILE, EINTR are some")
    rule.error = found
    rule.kind = rule.kind or segio.FAULT_FAIL


def _drop(rule: Rule, text: str) -> None:
    rule.drops = True


def _stall(rule: Rule, text: str) -> None:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time: 200ms and 2s are some")
    _act(rule, segio.FAULT_STALL)
    rule.amount = int(found[1]) * (1_000_000 if found[2] == "ms" else 1_000_000_000)


def _acting(kind: int, least: int) -> Callable[[Rule, str], None]:
    def act(rule: Rule, text: str) -> None:
        _act(rule, kind)
        rule.amount = _number(text, least) if text else 0

    return act


def _act(rule: Rule, kind: int) -> None:
    if rule.kind not in (0, segio.FAULT_FAIL):
        raise ValueError("it does two things: make two rules of it")
    rule.kind = kind


_WORDS: Final[dict[str, Callable[[Rule, str], None]]] = {
    "path": _path,
    "role": _role,
    "nth": _nth,
    "from": _from,
    "times": _times,
    "error": _error,
    "drop": _drop,
    "short": _acting(segio.FAULT_SHORT, 1),
    "tear": _acting(segio.FAULT_TEAR, 1),
    "lie": _acting(segio.FAULT_LIE, 1),
    "flip": _acting(segio.FAULT_FLIP, 1),
    "stall": _stall,
    "count": _acting(segio.FAULT_COUNT, 1),
}
_WITH_VALUE: Final = frozenset({"path", "role", "nth", "from", "times", "error", "stall"})
_WITHOUT_VALUE: Final = frozenset({"drop", "lie", "count"})


def parse(text: str) -> list[Rule]:
    """The rules of a variable. Raises StoreError, which names the rule and what is wrong with it.

    A rule for any call is, where only some calls can meet it, a rule for those.
    """
    rules = []
    for item in filter(None, map(str.strip, text.split(";"))):
        try:
            rules.append(_rule(item))
        except ValueError as error:
            raise StoreError(
                f"{VARIABLE}: the rule {item!r} is not understood: {error}. Correct it or unset"
                " the variable; a rule is such as write:path=*.log:nth=5:error=EIO"
            ) from error
    return rules


def _rule(text: str) -> Rule:
    names, *words = text.split(":")
    rule = Rule(calls=sum({_call(name.strip()) for name in names.split(",")}))
    is_any = rule.calls == _ANY
    for word in words:
        name, equals, value = word.strip().partition("=")
        if name not in _WORDS:
            raise ValueError(f"{name!r} is none of {', '.join(_WORDS)}")
        if (name in _WITH_VALUE and not value) or (name in _WITHOUT_VALUE and equals):
            raise ValueError(f"{name!r} takes {'a' if name in _WITH_VALUE else 'no'} value")
        _WORDS[name](rule, value)
    if not rule.kind:
        raise ValueError("it does nothing: error, short, tear, lie, flip, stall or count")
    if rule.kind == segio.FAULT_TEAR and not rule.error:
        rule.error = errno.EIO
    if rule.error == errno.EINTR and not rule.times:
        raise ValueError("a call that is interrupted for ever never ends: say nth or times")
    able = _able(rule)
    if is_any:
        rule.calls &= able
    elif rule.calls & ~able:
        raise ValueError("not every call that it names can do that")
    return rule


def _call(name: str) -> int:
    if name == "any":
        return _ANY
    if name not in CALLS:
        raise ValueError(f"{name!r} is no call: {', '.join(CALLS)} or any")
    return CALLS[name]


def _able(rule: Rule) -> int:
    """The calls that can meet what a rule says."""
    if rule.drops:
        return segio.CALL_SYNC if rule.kind == segio.FAULT_FAIL else 0
    return {
        segio.FAULT_SHORT: _TRANSFERS,
        segio.FAULT_TEAR: segio.CALL_WRITE,
        segio.FAULT_LIE: _ANY & ~_OPENS & ~segio.CALL_READ,
        segio.FAULT_FLIP: segio.CALL_READ,
    }.get(rule.kind, _ANY)


def arm(text: str, counted: str = "", role: str = "") -> None:
    """Arms the rules of a variable in this process, in place of those before; "" disarms.

    Raises StoreError.
    """
    segio.faults_clear()
    rules = parse(text)
    if counted and rules:
        segio.faults_share(counted)
    for rule in rules:
        is_here = rule.role in ("", role)
        segio.fault_add(
            rule.calls if is_here else 0,  # its number stays, for the counts
            rule.pattern,
            rule.first,
            rule.times,
            rule.kind,
            rule.error,
            rule.drops,
            rule.amount,
        )


def counted(rule: int = 0) -> int:
    """How many calls have matched that rule, by its place in the variable, since it was armed."""
    return segio.faults_counted(rule)


class FaultySystem:
    """The calls of `os` that `storage.io` makes, each after the rules were asked."""

    def open(self, path: StrPath, flags: int, mode: int = 0o777) -> int:
        """As os.open; that of a directory belongs to its sync."""
        if not flags & os.O_DIRECTORY:
            segio.fault_meet(segio.CALL_CREATE if flags & os.O_CREAT else segio.CALL_OPEN, path)
        return os.open(path, flags, mode)

    def pwritev(self, fd: int, buffers: Sequence[memoryview], offset: int) -> int:
        """As os.pwritev."""
        size = sum(map(len, buffers))
        wanted = segio.fault_meet(segio.CALL_WRITE, None, fd, size)
        if wanted == size:
            return os.pwritev(fd, buffers, offset)
        return size if wanted < 0 else os.pwrite(fd, b"".join(buffers)[:wanted], offset)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        """As os.pread."""
        wanted, bit = segio.fault_meet_read(None, fd, size)
        return segio.fault_flip(os.pread(fd, wanted, offset), bit)

    def fdatasync(self, fd: int) -> None:
        """As os.fdatasync."""
        if segio.fault_meet(segio.CALL_SYNC, None, fd) >= 0:
            os.fdatasync(fd)

    def fsync(self, fd: int) -> None:
        """As os.fsync."""
        is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
        call = segio.CALL_SYNC_DIRECTORY if is_directory else segio.CALL_SYNC
        if segio.fault_meet(call, None, fd) >= 0:
            os.fsync(fd)

    def posix_fallocate(self, fd: int, offset: int, size: int) -> None:
        """As os.posix_fallocate."""
        if segio.fault_meet(segio.CALL_ALLOCATE, None, fd) >= 0:
            os.posix_fallocate(fd, offset, size)

    def ftruncate(self, fd: int, size: int) -> None:
        """As os.ftruncate."""
        if segio.fault_meet(segio.CALL_TRUNCATE, None, fd) >= 0:
            os.ftruncate(fd, size)

    def rename(self, path: StrPath, new_path: StrPath) -> None:
        """As os.rename."""
        if segio.fault_meet(segio.CALL_RENAME, path) >= 0:
            os.rename(path, new_path)

    def unlink(self, path: StrPath) -> None:
        """As os.unlink."""
        if segio.fault_meet(segio.CALL_UNLINK, path) >= 0:
            os.unlink(path)
