"""A server whose clock was set ahead: what is locked stays until an operator says so."""

import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from fastobj.testing.process_server import ProcessServer
from tests.s3.conftest import client_of
from tests.unit.node.running import kill, metrics, wait_until

AHEAD_S = 840  # so that requests that are signed by the right clock are still taken


@pytest.fixture
def shift(tmp_path):
    """The file that says by how much the server's clock is wrong."""
    path = tmp_path / "shift"
    path.write_text("0")
    return path


@contextmanager
def served(tmp_path, shift):
    environment = {"FASTOBJ_CLOCK_SHIFT": str(shift)}
    with ProcessServer(tmp_path / "store", workers=1, environment=environment) as server:
        s3 = client_of(server)
        yield server, s3
        s3.close()


def test_set_ahead_told_and_confirmed(tmp_path, shift):
    with served(tmp_path, shift) as (server, s3):
        assert not any("trusted" in name or "retention" in name for name in metrics(server))
        s3.create_bucket(Bucket="bucket", ObjectLockEnabledForBucket=True)
        until = datetime.now(UTC) + timedelta(seconds=AHEAD_S - 240)
        locked = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
        version = s3.put_object(Bucket="bucket", Key="key", Body=b"x", **locked)["VersionId"]
        named = {"Bucket": "bucket", "Key": "key", "VersionId": version}
        assert metrics(server)["retention_frozen"] == 0
        assert abs(metrics(server)["trusted_time_offset_seconds"]) < 60
        shift.write_text(str(AHEAD_S))
        with pytest.raises(ClientError, match="clock has been set ahead"):
            s3.delete_object(**named)
        assert metrics(server)["retention_frozen"] == 1
        assert abs(metrics(server)["trusted_time_offset_seconds"] - AHEAD_S) < 60
        kill(server, "maintenance")  # whoever follows looks at once
        wait_until(lambda: "ahead of the trusted time" in server.log_end(), "the log")
        assert f"fastobj clock confirm {server.directory}" in server.log_end()
        _confirm(server, shift)
        assert "an operator has confirmed" in server.log_end()
        assert metrics(server)["retention_frozen"] == 0
        s3.delete_object(**named)
        s3.delete_bucket(Bucket="bucket")
    assert not (tmp_path / "store" / "trusted-time").exists()


def _confirm(server, shift):
    """By the command, while the server runs."""
    command = [sys.executable, "-m", "fastobj", "clock", "confirm", str(server.directory)]
    environment = {**os.environ, "FASTOBJ_CLOCK_SHIFT": str(shift)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as confirming:
        told, _ = confirming.communicate()
    assert confirming.returncode == 0
    assert b"is confirmed: the server trusts its clock" in told
