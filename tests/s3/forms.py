"""Forms as browsers send them: a policy, signed in either version, and the bytes of the body."""

import base64
import hashlib
import hmac
import http.client
import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from tests.s3.calls import REGION, Answer

BOUNDARY = "----limit0123456789"


def now():
    """The time, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def policy_of(conditions, lasts=timedelta(hours=1), **more):
    """A policy in base64; `more` takes the place of its elements, None removes one."""
    expires = (now() + lasts).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {"expiration": expires, "conditions": conditions, **more}
    return encoded({name: value for name, value in document.items() if value is not None})


def encoded(document):
    """A document as it stands in the field; text stays as it is."""
    text = document if isinstance(document, str) else json.dumps(document)
    return base64.b64encode(text.encode()).decode()


def sign_v2(policy, keys):
    """The fields of Signature Version 2."""
    made = hmac.new(keys.secret_key.encode(), policy.encode(), hashlib.sha1).digest()
    return {
        "AWSAccessKeyId": keys.access_key,
        "policy": policy,
        "signature": base64.b64encode(made).decode(),
    }


def scope_of(keys, when=None):
    """The fields that Version 4 signs with, and that the policy must mention."""
    when = when or now()
    return {
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{keys.access_key}/{when:%Y%m%d}/{REGION}/s3/aws4_request",
        "x-amz-date": f"{when:%Y%m%dT%H%M%SZ}",
    }


def sign_v4(policy, keys, scope):
    """The fields of Signature Version 4, for those of `scope_of`."""
    key = ("AWS4" + keys.secret_key).encode()
    for text in (scope["x-amz-date"][:8], REGION, "s3", "aws4_request", policy):
        key = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return {**scope, "policy": policy, "x-amz-signature": key.hex()}


def body_of(fields, content, boundary=BOUNDARY, filename="a.txt", behind=()):
    """The bytes of a form: fields in their order, the file, then further fields."""
    pairs = fields.items() if isinstance(fields, dict) else fields
    parts = [part(name, value, boundary) for name, value in pairs]
    named = f'; filename="{filename}"' if filename is not None else ""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"{named}\r\n'
    file = head.encode() + b"Content-Type: text/html\r\n\r\n" + content + b"\r\n"
    rest = [part(name, value, boundary) for name, value in behind]
    return b"".join([*parts, file, *rest, f"--{boundary}--\r\n".encode()])


def part(name, value, boundary=BOUNDARY):
    """One field."""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return head.encode() + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"


class Poster:
    """Sends forms to a bucket of a server, signed with its keys unless others are given."""

    def __init__(self, server, bucket):
        self.keys = server
        self.bucket = bucket
        self._where = urlsplit(server.endpoint).netloc

    def signed(self, fields=None, conditions=None, *, version=2, keys=None, **policy):
        """The fields of a form that may go into the bucket; by default its policy allows them."""
        sent = {"key": "key", **(fields or {})}
        keys = keys or self.keys
        if conditions is None:
            conditions = [{"bucket": self.bucket}, *({name: sent[name]} for name in sent)]
        if version == 2:
            return {**sent, **sign_v2(policy_of(conditions, **policy), keys)}
        scope = scope_of(keys)
        conditions = [*conditions, *({name: scope[name]} for name in scope)]
        return {**sent, **sign_v4(policy_of(conditions, **policy), keys, scope)}

    def send(self, body, *, bucket=None, boundary=BOUNDARY, headers=None, length=None, query=""):
        """The answer to the bytes of a form."""
        connection = http.client.HTTPConnection(self._where, timeout=60)
        try:
            connection.putrequest("POST", f"/{bucket or self.bucket}{query}")
            said = {"Content-Type": f"multipart/form-data; boundary={boundary}", **(headers or {})}
            if "Transfer-Encoding" not in said:
                said["Content-Length"] = str(len(body) if length is None else length)
            for name, value in said.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def __call__(self, fields=None, content=b"content", *, conditions=None, **more):
        """Signs a form and sends it."""
        signing = {name: more.pop(name) for name in ("version", "keys", "lasts") if name in more}
        to = {name: more.pop(name) for name in ("bucket", "headers", "query") if name in more}
        sent = self.signed(fields, conditions, **signing)
        return self.send(body_of(sent, content, **more), **to)


def told(answer):
    """Status, code and message of an error."""
    found = re.search(rb"<Message>(.*?)</Message>", answer.body, re.DOTALL)
    text = found[1].decode().replace("&quot;", '"') if found else ""
    return answer.status, answer.code, text


def keys_in(s3, bucket):
    """The keys of a small bucket."""
    return [found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
