"""Ways to talk to the server in tests: what a call is refused with, and requests by hand."""

import http.client
import os
import re
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

REGION = "us-east-1"


def with_processes(reason):
    """Marks what only the form of the server can run that has all its processes, and why."""
    return pytest.mark.skipif(os.environ.get("FASTOBJ_TEST_SERVER") == "inprocess", reason=reason)


def refused(call, **arguments):
    """The status and the code that a call is refused with."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


class Answer(NamedTuple):
    """A response, as it came."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def code(self):
        """The code of S3 in an error's body, or None."""
        found = re.search(rb"<Code>(.*?)</Code>", self.body)
        return found and found[1].decode()


class _Auth(S3SigV4Auth):
    """Signs what the request says about its payload, where it says anything."""

    def payload(self, request):
        return request.headers.get("X-Amz-Content-SHA256") or super().payload(request)

    def _should_sha256_sign_payload(self, request):
        return True

    def _modify_request_before_signing(self, request):
        said = request.headers.get("X-Amz-Content-SHA256")
        super()._modify_request_before_signing(request)
        if said:
            del request.headers["X-Amz-Content-SHA256"]
            request.headers["X-Amz-Content-SHA256"] = said


class Sender:
    """Sends requests that boto3 would not."""

    def __init__(self, server):
        self._server = server

    def __call__(self, method, path, *, query="", headers=None, body=b"", signed=True, waits=False):
        """Sends one request, signed by hand; `path` and `query` go out as they are.

        One that `waits` sends its body once it is told to continue.
        """
        url = self._server.endpoint + path + (f"?{query}" if query else "")
        request = AWSRequest(method=method, url=url, headers=dict(headers or {}), data=body)
        if signed:
            keys = Credentials(self._server.access_key, self._server.secret_key)
            _Auth(keys, "s3", REGION).add_auth(request)
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        try:
            target = path + (f"?{query}" if query else "")
            sent = {name: value.encode() for name, value in request.headers.items()}
            sent["Content-Length"] = b"%d" % len(body)
            if waits:
                self._send_head(connection, method, target, {**sent, "Expect": b"100-continue"})
                connection.send(body)
            else:
                connection.request(method, target, body=body, headers=sent)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def _send_head(self, connection, method, target, headers):
        """Sends a head alone and reads the word that invites its body."""
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if "Host" not in headers:
            connection.putheader("Host", f"{connection.host}:{connection.port}")
        connection.endheaders()
        assert connection.sock.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
