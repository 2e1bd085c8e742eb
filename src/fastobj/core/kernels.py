"""Which code each C kernel has chosen for this processor. Loads them all: not for the hot path."""

from __future__ import annotations

import importlib
import pkgutil


def chosen() -> dict[str, str]:
    """The instruction set of each kernel; of one with several algorithms, of each of them.

    Keys are as `crc` and `digest.md5`. A kernel over a library is not among them: the library
    chooses. Raises ImportError where a kernel refuses FASTOBJ_ISA.
    """
    package = importlib.import_module("fastobj._ext")
    found: dict[str, str] = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        module = importlib.import_module(f"fastobj._ext.{name}")
        if isinstance(module.ISA, dict):
            found |= {f"{name}.{algorithm}": code for algorithm, code in module.ISA.items()}
        elif not hasattr(module, "library"):
            found[name] = module.ISA
    return found


def libraries() -> dict[str, str]:
    """The library of each kernel that works over one: version and path, or how to get it."""
    from fastobj._ext import rs  # only here: to look for the library takes milliseconds

    try:
        name, path = rs.library()
    except rs.LibraryMissing as error:
        return {"rs": f"not found: {error}"}
    return {"rs": f"{name} at {path}"}
