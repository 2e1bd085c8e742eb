"""Events of a running server: what a receiver is told, whatever fails on the way."""

import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiohttp import web

from fastobj.cli.main import main
from fastobj.testing.process_server import ProcessServer
from tests.s3.conftest import client_of
from tests.unit.events.receiver import Receiver
from tests.unit.node.running import kill, metrics, on_each_worker, pids, roll, wait_until

EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*", "s3:ObjectAcl:Put"]
ARN = "arn:fastobj:sqs::{}:webhook"
KEYS = 4


@pytest.fixture(scope="module")
def receivers():
    with Receiver() as one, Receiver() as other:
        yield {"one": one, "other": other}


@pytest.fixture(scope="module")
def server(receivers, tmp_path_factory):
    hooks = [
        {"id": name, "endpoint": receiver.endpoint, "auth-token": f"token-{name}"}
        for name, receiver in receivers.items()
    ]
    directory = tmp_path_factory.mktemp("events") / "store"
    environment = {"FASTOBJ_NOTIFY_WEBHOOK": json.dumps(hooks)}
    arguments = ("--events-retention", "1h")
    with ProcessServer(directory, environment=environment, arguments=arguments) as running:
        yield running


@pytest.fixture(scope="module")
def s3(server):
    client = client_of(server)
    yield client
    client.close()


@pytest.fixture
def one(receivers):
    return fresh(receivers["one"])


def fresh(receiver):
    receiver.got.clear()
    receiver.answers, receiver.delay_s = lambda number: web.Response(), 0
    return receiver


def watched(s3, name, target="one", **filters):
    """A bucket whose events a target is told."""
    s3.create_bucket(Bucket=name)
    rules = [{"Name": rule, "Value": value} for rule, value in filters.items()]
    row = {"Id": f"rule-{target}", "QueueArn": ARN.format(target), "Events": EVENTS}
    if rules:
        row["Filter"] = {"Key": {"FilterRules": rules}}
    configuration = {"QueueConfigurations": [row]}
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=configuration)
    return name


def told(receiver, bucket):
    """Names and keys of what was told of a bucket."""
    return [
        (record["eventName"], record["s3"]["object"]["key"])
        for record in receiver.records()
        if record["s3"]["bucket"]["name"] == bucket
    ]


def test_all_that_happens_is_told(s3, one):
    bucket = watched(s3, "all")
    put = s3.put_object(Bucket=bucket, Key="a b/ü.jpg", Body=b"body")
    source = {"Bucket": bucket, "Key": "a b/ü.jpg"}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    of = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    etag = s3.upload_part(**of, PartNumber=1, Body=b"part")["ETag"]
    s3.complete_multipart_upload(**of, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    s3.put_object_tagging(
        Bucket=bucket, Key="copy", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]}
    )
    s3.delete_object_tagging(Bucket=bucket, Key="copy")
    s3.put_object_acl(Bucket=bucket, Key="copy", ACL="private")
    s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "copy"}, {"Key": "parts"}, {"Key": "none"}]}
    )
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    marker = s3.delete_object(Bucket=bucket, Key="a b/ü.jpg")["VersionId"]
    s3.delete_object(Bucket=bucket, Key="a b/ü.jpg", VersionId=marker)
    name = "a+b/%C3%BC.jpg"
    expected = [
        ("ObjectCreated:Put", name),
        ("ObjectCreated:Copy", "copy"),
        ("ObjectCreated:CompleteMultipartUpload", "parts"),
        ("ObjectTagging:Put", "copy"),
        ("ObjectTagging:Delete", "copy"),
        ("ObjectAcl:Put", "copy"),
        ("ObjectRemoved:Delete", "copy"),
        ("ObjectRemoved:Delete", "parts"),
        ("ObjectRemoved:DeleteMarkerCreated", name),
        ("ObjectRemoved:Delete", name),
    ]
    wait_until(lambda: len(told(one, bucket)) == len(expected), "all events")
    in_order = sorted(one.records(), key=lambda record: record["s3"]["object"]["sequencer"])
    assert [(r["eventName"], r["s3"]["object"]["key"]) for r in in_order] == expected
    path, headers, test = one.got[0]
    assert (path, test["Event"], test["Bucket"]) == ("/events", "s3:TestEvent", bucket)
    assert headers["Authorization"] == "Bearer token-one"
    (first,) = [m for _, _, m in one.got if m.get("EventName") == "s3:ObjectCreated:Put"]
    assert first["Key"] == "all/a b/ü.jpg"
    (record,) = first["Records"]
    assert record["s3"]["configurationId"] == "rule-one"
    assert record["s3"]["object"]["eTag"] == put["ETag"].strip('"')
    assert record["s3"]["object"]["size"] == 4
    assert record["requestParameters"] == {"sourceIPAddress": "127.0.0.1"}
    assert record["responseElements"] == {"x-amz-request-id": put["ResponseMetadata"]["RequestId"]}


def test_filters_and_buckets_that_have_gone(s3, one):
    bucket = watched(s3, "filtered", Prefix="in/", Suffix=".jpg")
    for key in ("in/a.jpg", "in/b.png", "out/c.jpg"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
        s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_bucket(Bucket=bucket)
    wait_until(lambda: len(told(one, bucket)) == 2, "two events")
    assert told(one, bucket) == [
        ("ObjectCreated:Put", "in/a.jpg"),
        ("ObjectRemoved:Delete", "in/a.jpg"),
    ]


def write_and_note(s3, bucket, turns, threads=64):
    """Many writers of a few keys; returns how many puts and deletes of each were answered."""

    def work(number):
        key = f"key-{number % KEYS}"
        for turn in range(turns):
            s3.put_object(Bucket=bucket, Key=key, Body=b"%d %d" % (number, turn))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    return threads * turns


def check_order(s3, receiver, bucket, count):
    """Each put was told; the last that is told of a key is what is there.

    The sequencers of what was told of a key, in the order of arrival, only rise.
    """
    wait_until(lambda: len(set(sequencers(receiver, bucket))) == count, "all events")
    for number in range(KEYS):
        key = f"key-{number}"
        found = list(dict.fromkeys(sequencers(receiver, bucket, key)))
        assert found == sorted(found)
        etags = [etag for _, etag in receiver.by_key()[key].values()]
        assert f'"{etags[-1]}"' == s3.head_object(Bucket=bucket, Key=key)["ETag"]


def sequencers(receiver, bucket, key=None):
    return [
        about["object"]["sequencer"]
        for about in (record["s3"] for record in receiver.records())
        if about["bucket"]["name"] == bucket and key in (None, about["object"]["key"])
    ]


def test_64_writers_over_all_workers_are_told_in_the_order_of_commits(server, s3, one):
    bucket = watched(s3, "racing")
    clients = on_each_worker(server)
    assert len(clients) == 2
    for client in clients:
        client.http.close()
    check_order(s3, one, bucket, write_and_note(s3, bucket, turns=4))


def test_a_receiver_that_fails_dies_and_returns_loses_nothing(s3, one, receivers):
    other = fresh(receivers["other"])
    bucket, quiet = watched(s3, "failing"), watched(s3, "sound", "other")
    one.answers = lambda number: web.Response(status=503 if number % 3 else 200)
    count = write_and_note(s3, bucket, turns=1, threads=8)
    one.stop()
    count += write_and_note(s3, bucket, turns=1, threads=16)
    for number in range(20):
        s3.put_object(Bucket=quiet, Key=f"{number}", Body=b"")
    wait_until(lambda: len(told(other, quiet)) == 20, "what the other one is told meanwhile")
    one.answers = lambda number: web.Response()
    one.start()
    check_order(s3, one, bucket, count)


def test_a_slow_receiver_holds_up_nobody_else(s3, one, receivers):
    other = fresh(receivers["other"])
    slow, quick = watched(s3, "slow"), watched(s3, "quick", "other")
    one.delay_s = 0.4
    for number in range(12):
        s3.put_object(Bucket=slow, Key=f"{number}", Body=b"")
        s3.put_object(Bucket=quick, Key="key", Body=b"%d" % number)
    wait_until(lambda: len(told(other, quick)) == 12, "what the quick one is told")
    assert len(told(one, slow)) < 12
    one.delay_s = 0
    wait_until(lambda: len(told(one, slow)) == 12, "what the slow one is told")


def test_the_death_of_maintenance_loses_nothing(server, s3, one):
    bucket = watched(s3, "killed")
    one.delay_s = 0.005
    killing = threading.Timer(0.2, os.kill, [pids(server, "maintenance")[0], signal.SIGKILL])
    killing.start()
    count = write_and_note(s3, bucket, turns=4, threads=16)
    killing.join()
    kill(server, "maintenance")
    kill(server, "committer")
    count += write_and_note(s3, bucket, turns=1, threads=16)
    check_order(s3, one, bucket, count)


def test_a_rolling_restart_hands_over(server, s3, one):
    bucket = watched(s3, "rolled")
    one.answers = lambda number: web.Response(status=503)
    count = write_and_note(s3, bucket, turns=1, threads=8)
    roll(server)
    one.answers = lambda number: web.Response()
    count += write_and_note(s3, bucket, turns=1, threads=8)
    check_order(s3, one, bucket, count)


def test_a_replay(server, s3, one, capsys, monkeypatch):
    bucket = watched(s3, "replayed")
    s3.put_object(Bucket=bucket, Key="key", Body=b"")
    wait_until(lambda: len(told(one, bucket)) == 1, "the event")
    hooks = json.dumps([{"id": "one", "endpoint": "http://127.0.0.1:9/"}])
    monkeypatch.setenv("FASTOBJ_NOTIFY_WEBHOOK", hooks)
    call = ["events", "replay", str(server.directory), "one", "--since", "30m"]
    assert main(call) == 1
    assert "events-retention is 0" in capsys.readouterr().err
    monkeypatch.setenv("FASTOBJ_EVENTS_RETENTION", "1h")
    assert main([*call[:3], "unknown", *call[4:]]) == 1
    assert "names no target 'unknown'" in capsys.readouterr().err
    assert main(call) == 0
    s3.put_object(Bucket=bucket, Key="key2", Body=b"")  # it looks with each event at the latest
    wait_until(lambda: told(one, bucket).count(("ObjectCreated:Put", "key")) == 2, "the replay")


def test_what_is_counted(server, s3, one):
    before = metrics(server)
    one.answers = lambda number: web.Response(status=503)
    bucket = watched(s3, "counted")
    s3.put_object(Bucket=bucket, Key="key", Body=b"")
    failures = before["event_failures_total"]
    wait_until(lambda: metrics(server)["event_failures_total"] > failures, "a failure")
    one.answers = lambda number: web.Response()
    delivered = before["events_delivered_total"] + 2  # the test event too
    wait_until(lambda: metrics(server)["events_delivered_total"] >= delivered, "both events")
    figures = metrics(server)
    assert figures["events_written_total"] == before["events_written_total"] + 2
    assert figures["events_waiting"] == before["events_waiting"] + 2  # they are retained
    assert figures["events_dropped_total"] == 0
    assert figures["events_oldest_timestamp_seconds"] > 1.7e9
    assert server.differences() == []


def test_deaths_between_an_answer_and_its_commit(tmp_path):
    """Each life of maintenance takes one page and dies with the next in its hands."""
    with Receiver() as receiver:
        receiver.answers = lambda number: web.Response(status=503)
        environment = {
            "FASTOBJ_NOTIFY_WEBHOOK": json.dumps([{"id": "one", "endpoint": receiver.endpoint}]),
            "FASTOBJ_CRASH_AT": "delivery.delivered:2",
            "FASTOBJ_CRASH_ROLE": "maintenance",
        }
        with ProcessServer(tmp_path / "store", environment=environment) as server:
            s3 = client_of(server)
            bucket = watched(s3, "dying")
            count = write_and_note(s3, bucket, turns=4)
            first = pids(server, "maintenance")
            receiver.answers = lambda number: web.Response()
            check_order(s3, receiver, bucket, count)
            wait_until(lambda: metrics(server)["events_waiting"] == 0, "the last commit")
            assert pids(server, "maintenance") != first
            assert len(sequencers(receiver, bucket)) > count  # some were told twice
            assert server.differences() == []
            s3.close()
