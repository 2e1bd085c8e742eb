"""Each kernel at each ISA level of this machine, in one process.

A kernel chooses its code once, at import, and a second import of the same file would share the
state of the first. So each level gets a copy of the built module in a folder of its own.
"""

import importlib
import importlib.util
import os
import shutil
from pathlib import Path
from types import ModuleType
from unittest import mock

import pytest

from tests.kernels.memory import GuardedPage

LEVELS = ("generic", "sse42", "avx2-no-sha", "avx2", "avx512-no-sha", "avx512")
CRC_LEVELS = ("generic", "sse42", "avx512")
SIGV4_LEVELS = ("generic", "sse42")
CHUNKED_LEVELS = ("generic", "sse42", "avx2-no-sha", "avx512-no-sha")  # other lanes of SHA-256 each
NOT_HERE = "does not have"


class Loader:
    """Imports kernels at a forced level, each pair once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[tuple[str, str], ModuleType] = {}

    def __call__(self, kernel: str, level: str) -> ModuleType:
        """The kernel; ImportError when it refuses the level."""
        if (kernel, level) not in self._loaded:
            self._loaded[kernel, level] = self._import(kernel, level)
        return self._loaded[kernel, level]

    def _import(self, kernel: str, level: str) -> ModuleType:
        built = importlib.import_module(f"fastobj._ext.{kernel}").__file__
        assert built is not None
        folder = self._folder / f"{len(list(self._folder.iterdir()))}"
        folder.mkdir()
        copy = shutil.copy(built, folder)
        spec = importlib.util.spec_from_file_location(f"fastobj._ext.{kernel}", copy)
        assert spec is not None
        assert spec.loader is not None
        with mock.patch.dict(os.environ, FASTOBJ_ISA=level):
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        return module


@pytest.fixture(scope="session")
def load_kernel(tmp_path_factory):
    """`load_kernel(kernel, level)`: that kernel as this machine runs it at that level."""
    return Loader(tmp_path_factory.mktemp("kernels"))


def _load_or_skip(load_kernel, kernel, level):
    try:
        return load_kernel(kernel, level)
    except ImportError as error:
        if NOT_HERE not in str(error):
            raise
        pytest.skip(f"{level}: not on this machine")


@pytest.fixture(scope="session", params=CRC_LEVELS)
def crc(request, load_kernel):
    """The crc kernel, at every level of this machine."""
    return _load_or_skip(load_kernel, "crc", request.param)


@pytest.fixture(scope="session", params=CRC_LEVELS)
def blocks(request, load_kernel):
    """The blocks kernel, whose sums are those of crc."""
    return _load_or_skip(load_kernel, "blocks", request.param)


@pytest.fixture(scope="session", params=SIGV4_LEVELS)
def sigv4(request, load_kernel):
    """The sigv4 kernel, at every level that it knows."""
    return _load_or_skip(load_kernel, "sigv4", request.param)


@pytest.fixture(scope="session", params=LEVELS)
def digest(request, load_kernel):
    """The digest kernel, at every level of this machine."""
    return _load_or_skip(load_kernel, "digest", request.param)


@pytest.fixture
def guarded_page():
    """A page between two that cannot be touched."""
    with GuardedPage() as page:
        yield page
