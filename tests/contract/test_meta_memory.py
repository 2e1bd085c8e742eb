"""The memory engine keeps the contract of metadata engines."""

from fastobj.meta.memory import MemoryEngine
from fastobj.testing.meta_contract import MetaContract


class TestMemoryEngine(MetaContract):
    """The contract, in memory."""

    def make(self, directory):
        return MemoryEngine()
