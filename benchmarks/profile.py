"""Where a process of the server spends its time in a named case: a flame graph, and a table.

    python -m benchmarks.profile put-4KiB --role committer --svg committer.svg

py-spy takes the samples, so Python and C frames stand in one stack; threads that wait do not count,
nor do those of the I/O pool, which know no Python. The server has one worker, which gets all of the
load. The table has the functions with the most own time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import _flame as flame
from benchmarks import _load as load
from benchmarks._server import ACCESS_KEY, SECRET_KEY, Server

_RATE: Final = 250  # samples a second
_SHOWN: Final = 25
_LEAD_S: Final = 1.0  # load before the first sample and behind the last
_SEEDS: Final = 1000
_LARGE_KEYS: Final = 8
_ABSENT: Final = (
    "py-spy is not there: `pip install py-spy` into any environment, then say where it is with"
    " --py-spy PATH"
)
Make = Callable[[int], bytes]
SMALL: Final = os.urandom(4 << 10)
LARGE: Final = os.urandom(10 << 20)


def _put_small(signer: load.Signer) -> Make:
    return lambda number: signer.request(b"PUT", b"/bench/new/%d" % number, SMALL)


def _get_small(signer: load.Signer) -> Make:
    return lambda number: signer.request(b"GET", b"/bench/%06d" % (number * 7919 % _SEEDS))


def _list(signer: load.Signer) -> Make:
    return lambda number: signer.request(
        b"GET",
        b"/bench",
        query=b"list-type=2&max-keys=100&start-after=%06d" % (number * 7919 % (_SEEDS - 100)),
    )


def _put_large(signer: load.Signer) -> Make:
    # Signed once: the load must not pay for the digests that the server is measured at.
    requests = cycle(
        [signer.request(b"PUT", b"/bench/large-%d" % key, LARGE) for key in range(_LARGE_KEYS)]
    )
    return lambda number: next(requests)


def _get_large(signer: load.Signer) -> Make:
    return lambda number: signer.request(b"GET", b"/bench/large-%d" % (number % _LARGE_KEYS))


class Case(NamedTuple):
    """A row: the connections that ask at once, and how the requests are made."""

    concurrency: int
    make: Callable[[load.Signer], Make]


CASES: Final = {
    "put-4KiB": Case(20, _put_small),
    "get-4KiB": Case(20, _get_small),
    "list-100": Case(20, _list),
    "put-10MiB-signed": Case(4, _put_large),
    "get-10MiB": Case(4, _get_large),
}


def seed(server: Server, signer: load.Signer) -> None:
    """Puts what the cases read."""
    run(server, 1, 0.01, lambda _: signer.request(b"PUT", b"/bench"))
    smalls = [signer.request(b"PUT", b"/bench/%06d" % key, SMALL) for key in range(_SEEDS)]
    load.run_at_least("127.0.0.1", server.port, 1, _LARGE_KEYS, _put_large(signer))
    load.run_at_least("127.0.0.1", server.port, 8, _SEEDS, lambda number: smalls[number % _SEEDS])


def run(server: Server, concurrency: int, seconds: float, make: Make) -> int:
    """Sends requests for that long; returns how many were answered."""
    result = load.run("127.0.0.1", server.port, concurrency, seconds, make)
    if result.errors:
        raise SystemExit(f"{result.errors} errors, the last: {result.last_error!r}")
    return len(result.latencies)


def sample(program: str, pid: int, seconds: int, folded: Path) -> subprocess.Popen[bytes]:
    """Starts py-spy on a process, for that long."""
    command = [program, "record", "--native", "--function", "--format", "raw", "--rate", str(_RATE)]
    command += ["--duration", str(seconds), "--output", str(folded), "--pid", str(pid)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def record(server: Server, case: Case, program: str, role: str, seconds: int) -> list[flame.Stack]:
    """The stacks of a process under the load of a case."""
    signer = load.Signer("127.0.0.1", server.port, ACCESS_KEY, SECRET_KEY)
    seed(server, signer)
    make = case.make(signer)
    run(server, case.concurrency, _LEAD_S, make)
    with tempfile.TemporaryDirectory() as folder:
        folded = Path(folder) / "folded"
        with sample(program, dict(server.pids())[role], seconds, folded) as sampler:
            count = run(server, case.concurrency, seconds + 2 * _LEAD_S, make)
            _, said = sampler.communicate()
        if sampler.returncode or not folded.exists():
            raise SystemExit(f"{program} failed: {said.decode(errors='replace').strip()}")
        print(f"{count} requests while samples were taken")
        return flame.parse(folded.read_text())


def show(stacks: list[flame.Stack]) -> None:
    """Prints the functions with the most own time."""
    total = sum(stack.count for stack in stacks)
    if not total:
        raise SystemExit("there is no sample: the process did nothing in this case")
    for name, count in flame.own(stacks).most_common(_SHOWN):
        print(f"{count / total:7.1%}  {name}")


def main() -> None:
    """Profiles a case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--role", choices=("worker", "committer"), default="worker")
    parser.add_argument("--svg", type=Path, required=True, help="where the graph is written")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--py-spy", default="py-spy", metavar="PATH", help="a name, or a path")
    options = parser.parse_args()
    program = shutil.which(options.py_spy)
    if program is None:
        parser.exit(2, f"{_ABSENT}\n")
    server = Server(workers=1)
    try:
        server.start()
        stacks = record(server, CASES[options.case], program, options.role, options.seconds)
    finally:
        server.stop()
    show(stacks)
    options.svg.write_text(flame.svg(f"{options.case}, {options.role}", stacks))
    print(f"flame graph: {options.svg}")


if __name__ == "__main__":
    main()
