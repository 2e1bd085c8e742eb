"""Virtual-host style: the bucket stands in the Host header, the whole path is the key."""

import http.client
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.s3.calls import REGION, Answer, with_processes

DOMAIN = "s3.test"

pytestmark = with_processes("the server in this process has no domain")


@pytest.fixture
def ask(server):
    """Sends a signed request to a host name that leads to the server."""

    def send(method, host, path="/", body=b"", signed=True):
        port = urlsplit(server.endpoint).port
        request = AWSRequest(method=method, url=f"http://{host}:{port}{path}", data=body)
        request.headers["Host"] = f"{host}:{port}"
        if signed:
            keys = Credentials(server.access_key, server.secret_key)
            S3SigV4Auth(keys, "s3", REGION).add_auth(request)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request(method, path, body=body, headers=dict(request.headers.items()))
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        return answer

    return send


def test_objects(ask, s3, bucket):
    host = f"{bucket}.{DOMAIN}"
    for path in ("/key", "/a/b", "//x", "/metrics", "/health/ready", "/docs"):
        assert ask("PUT", host, path, b"hello " + path.encode()).status == 200
        found = s3.get_object(Bucket=bucket, Key=path[1:])["Body"].read()
        assert ask("GET", host, path).body == found == b"hello " + path.encode()
    assert ask("DELETE", host, "/key").status == 204


def test_the_bucket_itself(ask, bucket):
    host = f"{bucket}.{DOMAIN}"
    assert ask("HEAD", host).status == 200
    assert ask("GET", host, "/?list-type=2").body.count(f"<Name>{bucket}</Name>".encode()) == 1
    assert ask("DELETE", host).status == 204
    assert ask("HEAD", host).status == 404
    assert ask("PUT", host).status == 200


def test_path_style_goes_on(ask, bucket):
    for host in (DOMAIN, "localhost", "127.0.0.1"):
        assert ask("HEAD", host, f"/{bucket}").status == 200
        assert b"ListAllMyBucketsResult" in ask("GET", host).body


def test_pages_of_ours_are_keys_below_a_bucket(ask, bucket):
    for path in ("/metrics", "/health/ready", "/docs", "/openapi.json"):
        assert ask("GET", f"{bucket}.{DOMAIN}", path, signed=False).status == 403
        assert ask("GET", f"{bucket}.{DOMAIN}", path).status == 404


def test_a_signature_for_one_bucket_is_none_for_another(ask, server, bucket):
    port = urlsplit(server.endpoint).port
    request = AWSRequest(method="GET", url=f"http://{bucket}.{DOMAIN}:{port}/key")
    S3SigV4Auth(Credentials(server.access_key, server.secret_key), "s3", REGION).add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {**dict(request.headers.items()), "Host": f"another.{DOMAIN}:{port}"}
    connection.request("GET", "/key", headers=headers)
    assert connection.getresponse().status == 403
    connection.close()
