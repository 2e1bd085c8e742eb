"""Which code each C kernel has chosen for this processor. Loads them all: not for the hot path."""

from __future__ import annotations

import importlib
import pkgutil


def chosen() -> dict[str, str]:
    """The instruction set of each kernel; of one with several algorithms, of each of them.

    Keys are as `crc` and `digest.md5`. Raises ImportError where a kernel refuses FASTOBJ_ISA.
    """
    package = importlib.import_module("fastobj._ext")
    found: dict[str, str] = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        isa = importlib.import_module(f"fastobj._ext.{name}").ISA
        if isinstance(isa, dict):
            found |= {f"{name}.{algorithm}": code for algorithm, code in isa.items()}
        else:
            found[name] = isa
    return found
