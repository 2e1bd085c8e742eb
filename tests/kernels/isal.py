"""The ISA-L that the wheel of pyeclib carries. Tests need it: the test group installs it."""

import re
from importlib import metadata


def carried_path():
    """Its path."""
    files = metadata.distribution("pyeclib").files or ()
    found = [file for file in files if re.match(r"libisal-pyeclib\.so", file.name)]
    assert len(found) == 1, found
    return str(found[0].locate())
