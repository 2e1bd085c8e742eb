"""The contract of volumes, on each volume that there is."""

import os
import tempfile
from contextlib import asynccontextmanager

from fastobj.core.limits import PIECE_BYTES, PIECE_HEAD_BYTES
from fastobj.storage.local_volume import LocalVolume
from fastobj.storage.memory import MemoryVolume
from fastobj.storage.pool import IoPool
from fastobj.storage.segment_files import make_folders, segment_path
from fastobj.testing.volume_contract import VolumeContract
from tests.unit.storage.volumes import Rows


class TestMemoryVolume(VolumeContract):
    """Bodies in memory."""

    @asynccontextmanager
    async def opened(self):
        yield MemoryVolume()

    async def damage(self, volume, location):
        volume.damage(location)


class TestLocalVolume(VolumeContract):
    """Bodies in extent files that they share."""

    own_file_bytes_min = 1 << 40

    @asynccontextmanager
    async def opened(self):
        make_folders(self.root)
        pool = IoPool()
        volume = LocalVolume(self.root, pool, Rows(), own_file_bytes_min=self.own_file_bytes_min)
        try:
            yield volume
        finally:
            await volume.close()
            pool.close()

    async def damage(self, volume, location):
        with open(segment_path(self.root, location.segment), "r+b") as file:
            file.seek(location.offset + PIECE_HEAD_BYTES + location.length // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 0x40]))

    def setup_method(self):
        self._folder = tempfile.TemporaryDirectory()
        self.root = self._folder.name

    def teardown_method(self):
        self._folder.cleanup()


class TestLocalVolumeWithOwnFiles(TestLocalVolume):
    """Bodies that are all in files of their own."""

    own_file_bytes_min = 1


class TestLocalVolumeWithBoth(TestLocalVolume):
    """Bodies of one piece share files, others have their own."""

    own_file_bytes_min = PIECE_BYTES + 1
