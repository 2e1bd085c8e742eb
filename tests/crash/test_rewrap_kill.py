"""The maintenance process dies in the middle of rewrapping, again and again: nothing is lost."""

from pathlib import Path

import pytest

from fastobj.cli.main import main
from fastobj.testing.process_server import ProcessServer
from tests.s3.conftest import client_of
from tests.unit.node.running import metrics, wait_until

pytestmark = pytest.mark.crash

OBJECTS = 350  # four batches: one life ends with the second that it commits


def test_it_goes_on_and_loses_none(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    server = ProcessServer(
        tmp_path / "store",
        workers=1,
        arguments=("--kms-check-interval", "1s"),
        environment={
            "FASTOBJ_CRASH_AT": "rewrap.committed:2",
            "FASTOBJ_CRASH_ROLE": "maintenance",
        },
    )
    with server:
        s3 = client_of(server)
        s3.create_bucket(Bucket="bucket")
        for number in range(OBJECTS):
            write = {"Key": f"{number:04}", "Body": b"%d" % number}
            s3.put_object(Bucket="bucket", ServerSideEncryption="AES256", **write)
        before = s3.list_objects_v2(Bucket="bucket")["Contents"]
        assert main(["kms", "rotate", store, "default"]) == 0
        restarts = metrics(server)["process_restarts_total"]

        def is_done() -> bool:
            found = metrics(server)
            return found["process_restarts_total"] > restarts and not found["kms_keys_to_rewrap"]

        wait_until(lambda: metrics(server)["kms_rewrapped_total"] > 0, "a first batch")
        wait_until(is_done, "the end of a pass, behind a death")
        assert s3.list_objects_v2(Bucket="bucket")["Contents"] == before
    assert main(["kms", "retire", store, "default"]) == 0  # so none is left
    with ProcessServer(tmp_path / "store", workers=1) as server:
        s3 = client_of(server)
        for number in range(OBJECTS):
            body = s3.get_object(Bucket="bucket", Key=f"{number:04}")["Body"].read()
            assert body == b"%d" % number
    assert main(["check", store]) == 0
