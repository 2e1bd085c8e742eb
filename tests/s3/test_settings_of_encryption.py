"""What settings and the key file change for encryption: switches, rotation, loss, restarts."""

import socket

import pytest

from fastobj.cli.main import main
from fastobj.testing.process_server import ProcessServer
from tests.s3.calls import refused, with_processes
from tests.s3.conftest import client_of
from tests.s3.encrypting import KEY, KINDS, customers, message, read

pytestmark = with_processes("these tests start servers of their own, with all processes")


def started(tmp_path, *arguments):
    return ProcessServer(tmp_path / "store", workers=2, arguments=arguments)


def put(s3, key, kind, body=b"body"):
    return s3.put_object(Bucket="bucket", Key=key, Body=body, **KINDS[kind][0])


def test_a_rotated_key_reads_on_and_wraps_anew(tmp_path):
    with started(tmp_path) as server:
        s3, store = client_of(server), str(tmp_path / "store")
        s3.create_bucket(Bucket="bucket")
        for version in range(3):
            for kind in KINDS:
                put(s3, f"{kind}{version}", kind, b"%d" % version)
            assert main(["kms", "rotate", store, "default"]) == 0
            for before in range(version + 1):
                for kind in KINDS:
                    assert read(s3, "bucket", f"{kind}{before}", kind) == b"%d" % before
        assert main(["kms", "create", store, "mine"]) == 0
        write = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "mine"}
        assert s3.put_object(Bucket="bucket", Key="mine", **write)["SSEKMSKeyId"] == "mine"
    with started(tmp_path) as server:
        s3 = client_of(server)
        for version in range(3):
            for kind in KINDS:
                assert read(s3, "bucket", f"{kind}{version}", kind) == b"%d" % version


def test_without_its_keys_a_server_says_so_and_goes_on(tmp_path):
    keys = tmp_path / "store" / "kms-keys"
    with started(tmp_path) as server:
        s3 = client_of(server)
        s3.create_bucket(Bucket="bucket")
        for kind in KINDS:
            put(s3, kind, kind)
        keys.chmod(0o644)
    with started(tmp_path) as server:
        s3 = client_of(server)
        for kind in ("s3", "kms"):
            there = {"Bucket": "bucket", "Key": kind}
            assert refused(s3.get_object, **there) == (503, "ServiceUnavailable")
            write = KINDS[kind][0]
            assert refused(s3.put_object, **there, **write) == (503, "ServiceUnavailable")
            assert s3.head_object(**there)["ContentLength"] == 4
        for kind in ("plain", "customer"):
            assert read(s3, "bucket", kind, kind) == b"body"
        assert f"chmod 600 {keys}" in server.log_path.read_text()
        keys.chmod(0o600)
        for kind in KINDS:
            assert read(s3, "bucket", kind, kind) == b"body"


def test_no_key_service(tmp_path):
    with started(tmp_path, "--kms", "off") as server:
        s3 = client_of(server)
        s3.create_bucket(Bucket="bucket")
        for kind in ("s3", "kms"):
            call = {"Bucket": "bucket", "Key": "key", **KINDS[kind][0]}
            status, code, text = message(s3.put_object, **call)
            assert (status, code) == (501, "NotImplemented")
            assert "setting kms is off" in text
        put(s3, "key", "customer")
        assert read(s3, "bucket", "key", "customer") == b"body"
        assert not (tmp_path / "store" / "kms-keys").exists()


def test_switches(tmp_path):
    arguments = ("--sse-s3", "off", "--sse-c", "off", "--kms-key-id", "mine")
    with started(tmp_path, *arguments) as server:
        s3 = client_of(server)
        s3.create_bucket(Bucket="bucket")
        call = {"Bucket": "bucket", "Key": "key"}
        told = message(s3.put_object, **call, ServerSideEncryption="AES256")
        assert told[:2] == (501, "NotImplemented")
        assert "sse-s3 is off" in told[2]
        for arguments in ({}, {"Body": b"x"}):
            told = message(s3.put_object, **call, **customers(KEY), **arguments)
            assert told[:2] == (400, "InvalidRequest")
            assert "sse-c is off" in told[2]
        assert put(s3, "key", "kms")["SSEKMSKeyId"] == "mine"


@pytest.mark.parametrize(("allowed", "status"), [("secure", 400), ("on", 200)])
def test_customers_keys_where_others_could_read_them(tmp_path, allowed, status):
    """An address of every interface, without TLS."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = ("--address", f"0.0.0.0:{port}", "--sse-c", allowed)
    server = ProcessServer(tmp_path / "store", workers=1, arguments=arguments, port=port)
    with server:
        s3 = client_of(server)
        s3.create_bucket(Bucket="bucket")
        if status == 200:
            put(s3, "key", "customer")
            assert read(s3, "bucket", "key", "customer") == b"body"
        else:
            told = message(s3.put_object, Bucket="bucket", Key="key", **customers(KEY))
            assert told[:2] == (400, "InvalidRequest")
            assert "secure connection" in told[2]
