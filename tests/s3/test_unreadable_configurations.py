"""Configurations that cannot be read: what needs them fails, and nothing is taken for none."""

import pytest

from fastobj.meta import keys
from fastobj.meta.base import ANY, Row, Txn, new_txn_id
from fastobj.objects import buckets, configs
from fastobj.objects.ledger import Entry
from fastobj.testing.server import InProcessServer
from tests.s3.calls import Sender, refused
from tests.s3.conftest import client_of

PAGE = {"Origin": "https://page.example.com", "Access-Control-Request-Method": "GET"}
RULE = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}


@pytest.fixture
def server():
    with InProcessServer() as running:
        yield running


@pytest.fixture
def s3(server):
    """A client of a server with a bucket whose configurations are all damaged."""
    client = client_of(server)
    client.create_bucket(Bucket="bucket", ObjectOwnership="BucketOwnerEnforced")
    client.put_bucket_cors(Bucket="bucket", CORSConfiguration={"CORSRules": [RULE]})
    client.put_object(Bucket="bucket", Key="key", Body=b"body")
    assert send(server, "GET").headers["access-control-allow-origin"] == "*"
    server.run(_damage(server.store))
    yield client
    client.close()


async def _damage(store):
    bucket = await buckets.get(store, "bucket")
    for kind in (configs.CORS, configs.OWNERSHIP):
        row = Row(keys.CONFIGS, keys.config(bucket.record.id, kind.number, 0), ANY, b"\xc1")
        await store.ledger.commit(Entry(Txn(new_txn_id(), [row])))
    store.configs.clear()


def send(server, method, **more):
    return Sender(server)(method, "/bucket/key", headers=PAGE, **more)


def test_what_needs_it_fails(server, s3):
    assert refused(s3.get_bucket_cors, Bucket="bucket") == (500, "InternalError")
    assert refused(s3.get_bucket_ownership_controls, Bucket="bucket") == (500, "InternalError")
    assert send(server, "OPTIONS", signed=False).status == 500
    named = {"Bucket": "bucket", "ACL": "private"}
    assert refused(s3.put_bucket_acl, **named) == (500, "InternalError")
    assert refused(s3.put_object, Key="new", **named) == (500, "InternalError")
    assert refused(s3.head_object, Bucket="bucket", Key="new") == (404, "404")


def test_what_does_not_need_it_goes_on(server, s3):
    answer = send(server, "GET")
    assert (answer.status, answer.body) == (200, b"body")
    assert "access-control-allow-origin" not in answer.headers
    s3.put_object(Bucket="bucket", Key="new", Body=b"x")


def test_it_can_be_replaced_and_deleted(server, s3):
    s3.put_bucket_cors(Bucket="bucket", CORSConfiguration={"CORSRules": [RULE]})
    assert send(server, "GET").headers["access-control-allow-origin"] == "*"
    s3.delete_bucket_ownership_controls(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="new", ACL="private")
    for key in ("key", "new"):
        s3.delete_object(Bucket="bucket", Key=key)
    s3.delete_bucket(Bucket="bucket")
