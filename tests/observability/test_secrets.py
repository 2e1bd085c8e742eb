"""No log shows a secret, a signature or a raw control character, whatever clients send.

One varied run at debug level with the access log on; every file that the server wrote is searched.
"""

import json
import re
import socket
import urllib.error
import urllib.request
from base64 import b64encode

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from fastobj.testing.process_server import ProcessServer
from tests.clients.signed import signed_headers
from tests.unit.node.running import Client

GUESS = "a-wrong-secret-that-somebody-tried"
TOKEN = "a-session-token-of-somebody"
SSE_KEY = "c2VjcmV0LWtleS1vZi1zb21lYm9keS0wMTIzNDU2Nzg="
CUSTOMERS_KEYS = (bytes(range(32)), bytes(range(32, 64)))
PASSWORD = "a-password-in-a-query"
OTHER = {"id": "other", "access-key": "other-access-key", "secret-key": "other-secret-key-value"}
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
HEX_SIGNATURE = re.compile(r"[0-9a-f]{64}")
NASTY = b"\x1b[2J\x1b]0;owned\x07%0d%0a\x7f\xc2\x9b\xe2\x80\xae\xe2\x80\xa8"


class Traffic:
    """What clients of all kinds do; `secrets` are what no log may show."""

    def __init__(self, server: ProcessServer) -> None:
        self.server = server
        self.secrets = {server.secret_key, GUESS, TOKEN, SSE_KEY, PASSWORD, OTHER["secret-key"]}

    def s3(self, secret_key: str, **further: str):
        return boto3.client(
            "s3",
            endpoint_url=self.server.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.server.access_key,
            aws_secret_access_key=secret_key,
            config=Config(signature_version="s3v4", retries={"max_attempts": 1}),
            **further,
        )

    def run(self) -> None:
        good = self.s3(self.server.secret_key)
        good.create_bucket(Bucket="searched")
        good.put_object(Bucket="searched", Key="k", Body=b"content", Metadata={"a": "b"})
        self.refused(self.s3(GUESS), "get_object", Key="k")
        self.refused(
            self.s3(self.server.secret_key, aws_session_token=TOKEN), "get_object", Key="k"
        )
        sse = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": SSE_KEY}
        self.refused(good, "put_object", Key="sse", Body=b"x", **sse)
        self.encrypted(good)
        self.presigned(good)
        self.presigned(self.s3(GUESS))
        self.headers_of_all_kinds()
        self.bad_xml()
        self.aborted()
        self.raw(b"GET /searched/k?password=%b&api_key=%b" % ((PASSWORD.encode(),) * 2))
        self.raw(b"GET /searched/" + NASTY.replace(b"%0d%0a", b""))
        self.raw(b"GET /searched/%1b%5b2J%0d%0aforged%c2%9b%e2%80%ae")
        self.raw(b"B\x1bD /searched")

    def encrypted(self, s3) -> None:
        """Keys of customers and of the server, right and wrong; one object is damaged."""
        for key in CUSTOMERS_KEYS:
            self.secrets |= {b64encode(key).decode(), key.hex()}
        right, wrong = (
            {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key} for key in CUSTOMERS_KEYS
        )
        s3.put_object(Bucket="searched", Key="sse", Body=b"x" * 100_000, **right)
        s3.get_object(Bucket="searched", Key="sse", **right)["Body"].read()
        self.refused(s3, "get_object", Key="sse", **wrong)
        kept = self.server.directory / "kms-keys"
        s3.put_object(Bucket="searched", Key="kms", Body=b"x", ServerSideEncryption="aws:kms")
        self.secrets |= {one["key"] for one in json.loads(kept.read_text())["keys"]["default"]}
        good = kept.read_bytes()
        kept.write_bytes(good.replace(b"format", b"other"))
        self.refused(s3, "put_object", Key="kms", Body=b"x", ServerSideEncryption="AES256")
        kept.write_bytes(good)

    def refused(self, s3, operation: str, **arguments: object) -> None:
        with pytest.raises(ClientError):
            getattr(s3, operation)(Bucket="searched", **arguments)

    def presigned(self, s3) -> None:
        url = s3.generate_presigned_url("get_object", {"Bucket": "searched", "Key": "k"})
        signature = re.search("X-Amz-Signature=([0-9a-f]+)", url)[1]
        self.secrets.add(signature)
        encoded = url.replace("X-Amz-Signature", "X%2DAmz%2D%53ignature")
        quoted = url.replace("?", "%3F").replace("&", "%26").replace("=", "%3D")
        variants = [url, encoded, url.replace("?", "%3F"), quoted, url.replace("&", ";"), url + "0"]
        for variant in [*variants, self.server.endpoint + "/searched/k?from=" + url]:
            headers = {"Referer": url, "User-Agent": f"came from {url}"}
            self.open(urllib.request.Request(variant, headers=headers))

    def open(self, request: urllib.request.Request) -> None:
        try:
            urllib.request.urlopen(request, timeout=30).read()
        except urllib.error.HTTPError as error:
            error.close()

    def headers_of_all_kinds(self) -> None:
        """A wrong signature, a malformed one, and one of another version."""
        headers = signed_headers(self.server, "GET", "/searched/k")
        self.secrets.add(headers["Authorization"].partition("Signature=")[2])
        given = headers["Authorization"]
        wrong = [given.replace("Signature=", "Signature=0"), given.replace("Credential", "Cred")]
        for authorization in [
            given,
            *wrong,
            "AWS AK:" + GUESS,
            "Basic " + GUESS,
            "Bearer " + TOKEN,
        ]:
            request = urllib.request.Request(f"{self.server.endpoint}/searched/k")
            for name, value in {**headers, "Authorization": authorization}.items():
                request.add_header(name, value)
            request.add_header("x-amz-security-token", TOKEN)
            self.open(request)

    def bad_xml(self) -> None:
        with Client(self.server) as client:
            body = b"<Delete><Object><Key>\x1b[31m</Key>" + GUESS.encode()
            assert client("POST", "/searched?delete=", body)[0] in {400, 403}

    def aborted(self) -> None:
        with Client(self.server) as client:
            client.begin("PUT", "/searched/aborted", 100_000)
            client.http.send(b"x" * 1000)

    def raw(self, start: bytes) -> None:
        """A request that no library would send."""
        head = start + b" HTTP/1.1\r\nHost: x\r\nUser-Agent: \xff" + NASTY.replace(b"\x07", b"")
        for text in (head, head.replace(b"\x1b", b"").replace(b"\x7f", b"")):
            with socket.create_connection(("127.0.0.1", self.server.port)) as sock:
                sock.sendall(text + b"\r\nConnection: close\r\n\r\n")
                while sock.recv(65536):
                    pass


@pytest.fixture(scope="module", params=["text", "json"])
def written(request, tmp_path_factory):
    """All that a server wrote outside its store, and what must not be in it."""
    place = tmp_path_factory.mktemp(request.param)
    arguments = (
        *("--log-level", "debug", "--log-format", request.param),
        *("--access-log", str(place / "access.log")),
    )
    environment = {"FASTOBJ_IDENTITIES": json.dumps([OTHER])}
    with ProcessServer(place / "store", arguments=arguments, environment=environment) as server:
        traffic = Traffic(server)
        traffic.run()
    return {path.name: path.read_bytes() for path in place.glob("*.log")}, traffic.secrets


def test_everything_was_logged(written):
    logs, _ = written
    lines = [json.loads(line) for line in logs["access.log"].splitlines()]
    errors = {line["error"] for line in lines}
    assert {"SignatureDoesNotMatch", "AccessDenied", ""} <= errors
    assert len(lines) > 25
    assert logs["store.log"]


def test_no_secret_is_shown(written):
    logs, secrets = written
    assert len(secrets) == 14
    found = [(name, one) for name, text in logs.items() for one in secrets if one.encode() in text]
    assert found == []


def test_nothing_that_looks_like_a_signature_is_shown(written):
    logs, _ = written
    owner = {line["requester"] for line in map(json.loads, logs["access.log"].splitlines())}
    for name, text in logs.items():
        assert set(HEX_SIGNATURE.findall(text.decode())) <= owner, name


def test_no_control_character_is_shown_as_it_came(written):
    logs, _ = written
    for name, text in logs.items():
        assert UNSAFE.findall(text.decode()) == [], name


def test_no_line_is_forged(written):
    logs, _ = written
    assert all(line.startswith(b"{") for line in logs["access.log"].splitlines())
    assert not re.search(rb"(?m)^forged", b"\n".join(logs.values()))


def test_lines_in_json_have_their_fields(written):
    logs, _ = written
    lines = [json.loads(x) for x in logs["store.log"].splitlines() if x.startswith(b"{")]
    if logs["store.log"].count(b"INFO "):
        assert lines == []  # text was asked for
    else:
        recovered = [line for line in lines if line["message"].startswith("recovered")]
        assert [line["role"] for line in recovered] == ["committer"]
        assert all({"time", "level", "pid", "logger"} <= line.keys() for line in lines)
