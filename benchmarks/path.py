"""Where a small PUT's time goes: each stage of its way, in wall time and in time of the processor.

A server of one worker is forked from this process with timers around the stages; all of its
processes add to one page of shared memory. The timers themselves cost a microsecond or two a
stage, so the sums are a little above those of a server without them. Prints Markdown.
"""

from __future__ import annotations

import functools
import importlib
import mmap
import os
import signal
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import _load as load
from benchmarks._server import ACCESS_KEY, SECRET_KEY, Server
from fastobj.cli.main import main as fastobj

BODY = os.urandom(4096)
ELSE = "everything else"
_CELLS = struct.Struct("<QQQ")  # calls, nanoseconds of wall time, of processor time


class Stage(NamedTuple):
    """One stage: what it is called here, whose it is, and the function that is all of it."""

    name: str
    role: str
    module: str
    function: str


STAGES = (
    Stage("head", "worker", "http.head", "HeadParser.feed"),
    Stage("signature", "worker", "s3.auth", "Authenticator.recognise"),
    Stage("sums of the body", "worker", "s3.payload", "PayloadCheck.check_small"),
    Stage("transaction", "worker", "objects.put", "transaction"),
    Stage("frame", "worker", "node.frames", "encode_commit"),
    Stage("send", "worker", "node.link_ledger", "LinkLedger._flush"),
    Stage("receive the answer", "worker", "node.link_ledger", "LinkLedger._receive"),
    Stage("receive", "committer", "node.committer", "Committer._receive"),
    Stage("checkpoint, room", "committer", "objects.local_ledger", "LocalLedger._make_room"),
    Stage("apply: SQL", "committer", "meta.sqlite_batch", "SqliteBatch.apply"),
    Stage("apply: places, records", "committer", "objects.local_ledger", "LocalLedger._apply"),
    Stage("encode the block", "committer", "storage.log_writer", "BlockBuilder.build"),
    Stage("pwritev", "committer", "storage.io", "File.pwritev"),
    Stage("fdatasync", "committer", "storage.io", "File.fdatasync"),
    Stage("COMMIT", "committer", "meta.sqlite_batch", "SqliteBatch.commit"),
    Stage("answer", "committer", "objects.local_ledger", "LocalLedger.complete"),
    Stage("send the answers", "committer", "node.committer", "Peer.flush"),
)


class Timers:
    """The cells of all stages, in memory that forked processes share. Stages may nest."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, _CELLS.size * len(STAGES))
        self._nested = threading.local()

    def install(self) -> None:
        """Puts a timer around each stage's function, in this process and those forked from it."""
        for index, stage in enumerate(STAGES):
            owner: Any = importlib.import_module(f"fastobj.{stage.module}")
            *holders, name = stage.function.split(".")
            for holder in holders:
                owner = getattr(owner, holder)
            setattr(owner, name, self._timed(index, getattr(owner, name)))

    def read(self) -> list[tuple[int, int, int]]:
        """Calls, wall and processor nanoseconds of each stage, without what nests in it."""
        return [_CELLS.unpack_from(self._page, at * _CELLS.size) for at in range(len(STAGES))]

    def _timed(self, index: int, function: Callable[..., Any]) -> Callable[..., Any]:
        nested = self._nested

        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            outer = getattr(nested, "sums", None)
            sums = nested.sums = [0, 0]
            wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
            try:
                return function(*arguments, **named)
            finally:
                cpu = time.thread_time_ns() - cpu
                wall = time.perf_counter_ns() - wall
                self._add(index, wall - sums[0], cpu - sums[1])
                if outer is not None:
                    outer[0] += wall
                    outer[1] += cpu
                nested.sums = outer

        return timed

    def _add(self, index: int, wall: int, cpu: int) -> None:
        at = index * _CELLS.size
        calls, walls, cpus = _CELLS.unpack_from(self._page, at)
        _CELLS.pack_into(self._page, at, calls + 1, walls + wall, cpus + cpu)


@contextmanager
def served(change: Callable[[], None], directory: Path, workers: int = 1) -> Iterator[Server]:
    """A server forked from this process, with a change of its code in all of its processes."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="fastobj-bench-") as folder:
        server = Server(Path(folder), workers)
        pid = os.fork()
        if not pid:
            os.environ |= {"FASTOBJ_ROOT_USER": ACCESS_KEY, "FASTOBJ_ROOT_PASSWORD": SECRET_KEY}
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            change()
            address = ("--address", f"127.0.0.1:{server.port}", "--console-address", "127.0.0.1:0")
            os._exit(fastobj(["server", *address, "--workers", str(workers), folder]))
        try:
            while not server.is_ready():
                time.sleep(0.01)
            yield server
        finally:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


def cpu_us(server: Server) -> dict[str, float]:
    """Processor time of all threads of each role so far, not in ticks as /proc/PID/stat has it."""
    spent: dict[str, float] = {}
    for role, pid in server.pids():
        for thread in Path(f"/proc/{pid}/task").iterdir():
            nanoseconds = int((thread / "schedstat").read_text().split()[0])
            spent[role] = spent.get(role, 0.0) + nanoseconds / 1e3
    return spent


def show(directory: Path, seconds: float, concurrencies: tuple[int, ...] = (1, 64)) -> None:
    """Prints one table for each concurrency."""
    timers = Timers()
    with served(timers.install, directory) as server:
        signer = load.Signer("127.0.0.1", server.port, ACCESS_KEY, SECRET_KEY)
        load.run("127.0.0.1", server.port, 1, 0.01, lambda _: signer.request(b"PUT", b"/bench"))

        def put(number: int) -> bytes:
            return signer.request(b"PUT", b"/bench/%s/%d" % (run, number), BODY)

        for concurrency in concurrencies:
            run = os.urandom(4).hex().encode()
            load.run("127.0.0.1", server.port, concurrency, 0.5, put)
            run = os.urandom(4).hex().encode()
            before, cpu = timers.read(), cpu_us(server)
            result = load.run("127.0.0.1", server.port, concurrency, seconds, put)
            after, cpu_after = timers.read(), cpu_us(server)
            if result.errors:
                raise SystemExit(f"{result.errors} errors, the last: {result.last_error!r}")
            spent = {role: cpu_after[role] - cpu[role] for role in ("worker", "committer")}
            changed = [
                (new[0] - old[0], (new[1] - old[1]) / 1e3, (new[2] - old[2]) / 1e3)
                for old, new in zip(before, after, strict=True)
            ]
            _print(concurrency, result, changed, spent)


def _print(
    concurrency: int,
    result: load.Result,
    changed: list[tuple[int, float, float]],
    spent: dict[str, float],
) -> None:
    """One table: microseconds of each stage, per PUT; of wall time per call too."""
    puts = len(result.latencies)
    mean = sum(result.latencies) / puts * 1e6
    batches = dict(zip((stage.name for stage in STAGES), changed, strict=True))["COMMIT"][0]
    print(
        f"\nPUT of 4 KiB by {concurrency}: {result.per_second:.0f}/s, {mean:.0f} us each,"
        f" {puts / batches:.1f} in a batch\n"
    )
    print("| who | stage | CPU us per PUT | wall us per PUT | wall us per call |")
    print("|---|---|---:|---:|---:|")
    passed = rest = 0.0
    for role in ("worker", "committer"):
        known = 0.0
        for stage, (calls, wall, cpu) in zip(STAGES, changed, strict=True):
            if stage.role == role:
                known += cpu
                passed += wall / max(calls, 1) * min(1.0, calls / batches)
                print(
                    f"| {role} | {stage.name} | {cpu / puts:.1f} | {wall / puts:.1f}"
                    f" | {wall / max(calls, 1):.1f} |"
                )
        rest += (spent[role] - known) / puts if role == "worker" else 0.0
        print(f"| {role} | {ELSE} | {(spent[role] - known) / puts:.1f} | | |")
        print(f"| {role} | **all** | **{spent[role] / puts:.1f}** | | |")
    waits = mean - passed - rest
    print(f"| both | queue, wake-ups, others' turns | | {waits:.1f} | |", flush=True)
