"""`python -m fastobj` is `fastobj`."""

import sys

from fastobj.cli.main import main

sys.exit(main())
