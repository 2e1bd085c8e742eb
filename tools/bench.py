"""Run the benchmarks one after another: `python -m tools.bench [NAME ...]`.

A benchmark is a module of `benchmarks/` with a main part; a name that begins with an underscore
is shared code.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str]) -> int:
    """Run the named benchmarks, or all; 1 when one failed, 2 for an unknown name."""
    known = sorted(path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py"))
    unknown = sorted(set(argv) - set(known))
    if unknown or not known:
        print(f"bench: no such benchmark: {', '.join(unknown) or 'none is here'}", file=sys.stderr)
        return 2
    failed = []
    for name in argv or known:
        print(f"=== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"bench: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
