"""`fastobj` with a small WAL and small extent files: `python -m tests.crash.small_server server DIR`.

So that a short load checkpoints, seals and recycles.
"""

import os
import sys

from fastobj.cli.main import main
from tests.crash.world import small_limits

WAL_VARIABLE = "CRASH_TEST_WAL_BYTES"


if __name__ == "__main__":
    with small_limits(int(os.environ.get(WAL_VARIABLE, 1 << 20))):
        sys.exit(main())
