"""A server whose keys are in Vault: what needs it, what does without, rotation under way."""

import time
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

from fastobj.cli.main import main
from fastobj.testing.process_server import ProcessServer
from tests import transit
from tests.s3.calls import refused, with_processes
from tests.s3.conftest import client_of
from tests.s3.encrypting import KINDS, message, read
from tests.unit.node.running import metrics

pytestmark = with_processes("these tests start servers of their own, with all processes")


WAIT_S_MAX = 60.0


def until(condition):
    """Waits for it; what is asked of the server may fail meanwhile."""
    deadline = time.monotonic() + WAIT_S_MAX
    while True:
        try:
            if condition():
                return
        except ClientError:
            pass
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def vault(tmp_path_factory):
    with transit.ours(tmp_path_factory.mktemp("vault")) as server:
        server.ask("POST", "transit/keys/default", {})
        server.ask("POST", "transit/keys/mine", {})
        yield server


@contextmanager
def started(tmp_path, vault, *arguments):
    """A server that has a role in Vault."""
    role_id, secret_id = transit.make_role(vault, 3600)
    settings = ("--kms", "vault", "--kms-endpoint", vault.endpoint, "--kms-role-id", role_id)
    server = ProcessServer(
        tmp_path / "store",
        workers=2,
        arguments=(*settings, *arguments),
        environment={"FASTOBJ_KMS_SECRET_ID": secret_id},
    )
    with server:
        yield server
    told = server.log_path.read_text()
    assert secret_id not in told
    assert transit.ROOT_TOKEN not in told


def test_while_vault_is_away(tmp_path, vault):
    """What it must be asked for is refused, and nothing is stored in the clear; the rest works."""
    with started(tmp_path, vault, "--kms-keep", "0") as server:
        s3 = client_of(server)
        s3.create_bucket(Bucket="bucket")
        for kind, (write, _, told) in KINDS.items():
            answer = s3.put_object(Bucket="bucket", Key=kind, Body=b"body", **write)
            assert {name: answer[name] for name in told} == told
            assert read(s3, "bucket", kind, kind) == b"body"
        named = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "nobody"}
        assert refused(s3.put_object, Bucket="bucket", Key="x", **named) == (
            400,
            "KMS.NotFoundException",
        )
        vault.stop()
        for kind in ("s3", "kms"):
            there = {"Bucket": "bucket", "Key": kind}
            status, code, text = message(s3.get_object, **there)
            assert (status, code) == (503, "ServiceUnavailable")
            assert "the log of the server says why" in text
            write = KINDS[kind][0]
            assert refused(s3.put_object, Bucket="bucket", Key="new", **write)[0] == 503
            assert s3.head_object(**there)["ContentLength"] == 4
        for kind in ("plain", "customer"):
            assert read(s3, "bucket", kind, kind) == b"body"
        assert f"Vault at {vault.endpoint} does not answer" in server.log_path.read_text()
        vault.start()
        for kind in KINDS:
            until(lambda kind=kind: read(s3, "bucket", kind, kind) == b"body")
        assert refused(s3.get_object, Bucket="bucket", Key="new") == (404, "NoSuchKey")


def test_keys_that_are_kept_are_read_while_vault_is_away(tmp_path, vault):
    with started(tmp_path, vault) as server:
        s3 = client_of(server)
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="key", Body=b"body", ServerSideEncryption="AES256")
        for _ in range(20):  # so that both workers have read it
            read(s3, "bucket", "key")
        vault.stop()
        try:
            assert read(s3, "bucket", "key") == b"body"
            there = {"Bucket": "bucket", "Key": "new", "ServerSideEncryption": "AES256"}
            assert refused(s3.put_object, **there)[0] == 503
        finally:
            vault.start()


@pytest.fixture(params=["ours", "openbao", "local"])
def place(request, tmp_path):
    """A server of Transit whose keys have never been rotated; None for the local key service."""
    if request.param == "local":
        yield None
        return
    opening = transit.openbao if request.param == "openbao" else transit.ours
    with opening(tmp_path) as server:
        server.ask("POST", "transit/keys/default", {})
        yield server


def test_rotation_under_way_and_retiring(tmp_path, place, monkeypatch):
    """All is rewrapped behind the back of clients; then older versions can go."""
    store, check = str(tmp_path / "store"), ("--kms-check-interval", "1s")

    def run(action):
        """As the operator, who may do more than the server."""
        if place is None:
            return main(["kms", action, store, "default"])
        with monkeypatch.context() as patched:
            patched.setenv("VAULT_TOKEN", transit.ROOT_TOKEN)
            keys = ("--kms", "vault", "--kms-endpoint", place.endpoint)
            return main(["kms", action, store, "default", *keys])

    opening = started(tmp_path, place, *check) if place else _local(tmp_path, check)
    with opening as server:
        s3 = client_of(server)
        s3.create_bucket(Bucket="bucket")
        s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        for _ in range(2):
            for kind in ("s3", "kms"):
                s3.put_object(Bucket="bucket", Key=kind, Body=b"body", **KINDS[kind][0])
        upload = s3.create_multipart_upload(Bucket="bucket", Key="parts", **KINDS["s3"][0])
        parts = {name: upload[name] for name in ("Bucket", "Key", "UploadId")}
        part = s3.upload_part(**parts, PartNumber=1, Body=b"part")
        before = _told(s3)
        assert run("rotate") == 0
        until(lambda: metrics(server)["kms_rewrapped_total"] == 5)
        until(lambda: metrics(server)["kms_keys_to_rewrap"] == 0)
        assert run("retire") == 1  # the server runs
        assert _told(s3) == before
        listed = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        s3.complete_multipart_upload(**parts, MultipartUpload=listed)
    assert run("retire") == 0
    opening = started(tmp_path, place) if place else _local(tmp_path)
    with opening as server:
        s3 = client_of(server)
        assert read(s3, "bucket", "parts") == b"part"
        for version in s3.list_object_versions(Bucket="bucket")["Versions"]:
            body = read(s3, "bucket", version["Key"], VersionId=version["VersionId"])
            assert body == (b"part" if version["Key"] == "parts" else b"body")


def _told(s3):
    return s3.list_object_versions(Bucket="bucket")["Versions"]


def _local(tmp_path, arguments=()):
    return ProcessServer(tmp_path / "store", workers=2, arguments=arguments)
