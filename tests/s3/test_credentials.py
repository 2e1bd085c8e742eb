"""What everyday calls are told without credentials, with wrong ones, and by whoever has no access.

Also the clients of another region, who learn where the bucket is and ask again.
"""

import urllib.error
import urllib.request

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from tests.s3.calls import REGION, refused

CALLS = {
    "get_bucket_location": {},
    "get_object": {"Key": "key"},
    "head_object": {"Key": "key"},
    "put_object": {"Key": "key", "Body": b"other"},
    "list_objects": {},
    "list_objects_v2": {},
    "delete_object": {"Key": "key"},
    "delete_objects": {"Delete": {"Objects": [{"Key": "key"}]}},
    "copy_object": {"Key": "copy", "CopySource": "{bucket}/key"},
}
WRONG = {
    "nobody": ({"aws_access_key_id": "nobody"}, "InvalidAccessKeyId"),
    "wrong secret": ({"aws_secret_access_key": "wrong"}, "SignatureDoesNotMatch"),
    "unsigned": ({"signature_version": UNSIGNED}, "AccessDenied"),
}


@pytest.fixture(scope="module")
def client(server):
    """Makes clients: by default they are right and sign with version 4."""
    made = []

    def make(signature_version="s3v4", **changed):
        arguments = {
            "endpoint_url": server.endpoint,
            "aws_access_key_id": server.access_key,
            "aws_secret_access_key": server.secret_key,
            "region_name": REGION,
            "config": Config(
                retries={"total_max_attempts": 1}, signature_version=signature_version
            ),
        }
        made.append(boto3.client("s3", **arguments | changed))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def bucket(client):
    """A bucket with one object, which every test leaves as it is."""
    s3, name = client(), "test-credentials"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="key", Body=b"body")
    return name


def call_of(name, bucket):
    asked = {**CALLS[name], "Bucket": bucket}
    return asked | ({"CopySource": f"{bucket}/key"} if "CopySource" in asked else {})


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("who", WRONG)
def test_wrong_credentials(client, bucket, who, call):
    changed, code = WRONG[who]
    told = (403, "403" if call == "head_object" else code)
    assert refused(getattr(client(**changed), call), **call_of(call, bucket)) == told
    s3 = client()
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"body"
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize("who", ["nobody", "wrong secret"])
def test_urls_of_wrong_credentials(client, bucket, who, version):
    changed, code = WRONG[who]
    for call in ("get_object", "put_object", "delete_object"):
        named = {"Bucket": bucket, "Key": "key"}
        url = client(version, **changed).generate_presigned_url(call, named)
        method = call.partition("_")[0].upper()
        request = urllib.request.Request(url, method=method, headers={"Content-Type": ""})
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        with caught.value as error:
            assert (error.status, error.reason) == (403, "Forbidden")
            assert f"<Code>{code}</Code>".encode() in error.read()
    assert client().get_object(Bucket=bucket, Key="key")["Body"].read() == b"body"


def test_an_answer_names_its_request(client, bucket, send):
    ids = set()
    for path, query in ((f"/{bucket}/none", ""), (f"/{bucket}", "location")):
        for signed in (True, False):
            answer = send("GET", path, query=query, signed=signed)
            ids.add(answer.headers["x-amz-request-id"])
            assert answer.headers["x-amz-id-2"]
            if answer.status >= 400:
                assert f"<RequestId>{answer.headers['x-amz-request-id']}<".encode() in answer.body
    assert len(ids) == 4


@pytest.mark.parametrize("region", ["us-west-2", "eu-west-1", "aws-global"])
@pytest.mark.parametrize("call", CALLS)
def test_clients_of_another_region(client, bucket, region, call):
    """boto3 is told the region by the refusal, and asks again by itself."""
    s3 = client(region_name=region)
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    answer = getattr(s3, call)(**call_of(call, bucket))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] in (200, 204)
    s3.delete_object(Bucket=bucket, Key="copy")
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
