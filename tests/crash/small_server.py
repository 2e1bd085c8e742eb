"""The command `fastobj` with a small WAL and small extent files.

So that a short load checkpoints, seals and recycles. It may be given a fault to carry.
"""

import os
import sys
from contextlib import nullcontext

from fastobj.cli.main import main
from tests.crash import mutations
from tests.crash.world import small_limits

WAL_VARIABLE = "CRASH_TEST_WAL_BYTES"
FAULT_VARIABLE = "CRASH_TEST_FAULT"  # the name of a function in mutations.py


def run() -> int:
    """Runs the command with what the environment asks for."""
    fault = getattr(mutations, os.environ.get(FAULT_VARIABLE, ""), nullcontext)
    with small_limits(int(os.environ.get(WAL_VARIABLE, 1 << 20))), fault():
        return main()


if __name__ == "__main__":
    sys.exit(run())
