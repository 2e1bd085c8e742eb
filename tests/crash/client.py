"""A small S3 client of its own, and the server that the crash tests drive with it.

It signs with the project's kernel, never retries, and says of each request whether it was
answered: an answer of 2xx means done, 4xx means refused, and anything else means neither. What
begins with 200 and ends with an error, as slow operations may, is an answer of that error's status.
"""

import http.client
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from html import unescape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree

from fastobj._ext import sigv4
from fastobj.core import codes
from fastobj.testing.process_server import ACCESS_KEY, SECRET_KEY, ProcessServer
from tests.crash.oracle import BUCKET, OPERATION, PARTS, Lost, Observed, Place, Value, value_of
from tests.crash.world import KEPT, SEGMENT_BYTES, SMALL_BYTES_MAX

REGION = "us-east-1"
TIMEOUT_S = 20
_PAGE = 7
_META = "x-amz-meta-"
_VERSION_ID = "x-amz-version-id"
_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_KEY = re.compile(r"<Key>(.*?)</Key>.*?<ETag>(.*?)</ETag>.*?<Size>(\d+)</Size>", re.DOTALL)
_NAME = re.compile(r"<Bucket>.*?<Name>(.*?)</Name>", re.DOTALL)
_TOKEN = re.compile(r"<NextContinuationToken>(.*?)</NextContinuationToken>")
_ETAG = re.compile("<ETag>(.*?)</ETag>")
_UPLOAD = re.compile("<UploadId>(.*?)</UploadId>")
_LATE_ERROR = re.compile(rb"<\?xml[^>]*>\s*<Error>.*?<Code>(.*?)</Code>", re.DOTALL)
_STATUSES = {code.name: code.status for code in codes.ALL}


class Broken(Exception):
    """No answer that counts: the request may or may not have taken place."""


class Refused(Exception):
    """The answer says that the request did not take place."""


class Away(Refused):
    """Nobody listens: the request was never sent."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Version(NamedTuple):
    """A version as it is listed: `listed` is its etag and its size in bytes."""

    key: bytes
    id: str
    is_latest: bool
    listed: tuple[str, int]


class Client:
    """One connection, opened anew after each failure."""

    def __init__(self, port: int) -> None:
        self._host = f"127.0.0.1:{port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] = {},
        headers: Mapping[str, str] = {},
        body: bytes = b"",
    ) -> Answer:
        """One signed request. Raises Broken, Refused."""
        encoded = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in query.items())
        path = quote(path)
        signed = self._signed(method, path, encoded, headers, body)
        target = f"{path}?{encoded}" if encoded else path
        self._connect()
        try:
            self._connection.request(method, target, body or None, signed)
            response = self._connection.getresponse()
            answer = Answer(response.status, dict(response.getheaders()), response.read())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Broken(f"{method} {path}: {error!r}") from error
        status = answer.status if method == "GET" else _told_status(answer)
        if status >= 500:
            raise Broken(f"{method} {path}: {answer.status} {answer.body!r}")
        if status >= 400:
            raise Refused(f"{method} {path}: {answer.status} {answer.body!r}")
        return answer

    def _connect(self) -> None:
        if self._connection.sock is not None:
            return
        try:
            self._connection.connect()
        except ConnectionRefusedError as error:
            raise Away(str(error)) from error
        except OSError as error:
            raise Broken(f"connecting: {error!r}") from error

    def _signed(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> dict[str, str]:
        digest = sigv4.sha256(body).hex()
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{now[:8]}/{REGION}/s3/aws4_request"
        complete = {
            **headers,
            "host": self._host,
            "x-amz-content-sha256": digest,
            "x-amz-date": now,
        }
        names = ";".join(sorted(complete))
        pairs = [(name.encode(), complete[name].encode()) for name in sorted(complete)]
        key = sigv4.signing_key(SECRET_KEY.encode(), now[:8].encode(), REGION.encode(), b"s3")
        signature = sigv4.signature(
            method.encode(),
            path.encode(),
            query.encode(),
            pairs,
            names.encode(),
            digest.encode(),
            now.encode(),
            scope.encode(),
            key,
        )
        complete["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names},"
            f" Signature={signature.decode()}"
        )
        return complete

    # --- operations

    def create_bucket(self, name: str) -> None:
        """Makes a bucket."""
        self.call("PUT", f"/{name}")

    def delete_bucket(self, name: str) -> None:
        """Deletes an empty bucket."""
        self.call("DELETE", f"/{name}")

    def keep_versions(self, bucket: str) -> None:
        """Has versions kept from now on."""
        body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        self.call("PUT", f"/{bucket}", {"versioning": ""}, body=body)

    def put(self, place: Place, body: bytes, metadata: Mapping[str, str], kind: str) -> str:
        """Puts an object, where its metadata says so as an upload of one part.

        Returns its version id, "" where no versions are kept.
        """
        headers = {_META + name: value for name, value in metadata.items()} | {"content-type": kind}
        path = f"/{place.bucket}/{place.key.decode()}"
        if PARTS not in metadata:
            return _version(self.call("PUT", path, headers=headers, body=body))
        part = self._begin_upload(path, headers)
        stored = self.call("PUT", path, part, body=body)
        etag = {name.lower(): value for name, value in stored.headers.items()}["etag"]
        return self._complete_upload(path, part, etag)

    def _begin_upload(self, path: str, headers: Mapping[str, str]) -> dict[str, str]:
        """The parameters by which the first part of a new upload is stored."""
        found = _UPLOAD.search(self.call("POST", path, {"uploads": ""}, headers).body.decode())
        assert found is not None
        return {"partNumber": "1", "uploadId": found[1]}

    def _complete_upload(self, path: str, part: Mapping[str, str], etag: str) -> str:
        """Makes an object of the only part; returns its version id."""
        listed = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
        document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"
        query = {"uploadId": part["uploadId"]}
        return _version(self.call("POST", path, query, body=document.encode()))

    def copy_part(
        self, source: Place, etag: str, place: Place, metadata: Mapping[str, str], kind: str
    ) -> None:
        """Uploads an object whose only part is copied from an object that has that etag."""
        headers = {_META + name: value for name, value in metadata.items()}
        path = f"/{place.bucket}/{place.key.decode()}"
        part = self._begin_upload(path, headers | {"content-type": kind})
        copied = self.call("PUT", path, part, _source_headers(source, etag)).body.decode()
        found = _ETAG.search(copied)
        assert found is not None, copied
        self._complete_upload(path, part, found[1])

    def copy(
        self, source: Place, etag: str, place: Place, metadata: Mapping[str, str], kind: str
    ) -> None:
        """Copies an object that has that etag; its metadata is replaced."""
        headers = {_META + name: value for name, value in metadata.items()}
        headers |= _source_headers(source, etag)
        headers |= {"content-type": kind, "x-amz-metadata-directive": "REPLACE"}
        self.call("PUT", f"/{place.bucket}/{place.key.decode()}", headers=headers)

    def delete(self, place: Place, version: str = "") -> None:
        """Deletes an object, or a version for good."""
        self.call("DELETE", f"/{place.bucket}/{place.key.decode()}", _query(version))

    def get(self, place: Place, version: str = "") -> Value:
        """What is under a key. Raises Lost where the answer contradicts itself."""
        answer = self.call("GET", f"/{place.bucket}/{place.key.decode()}", _query(version))
        headers = {name.lower(): value for name, value in answer.headers.items()}
        metadata = {n[len(_META) :]: v for n, v in headers.items() if n.startswith(_META)}
        value = value_of(answer.body, metadata, {"content-type": headers["content-type"]})
        if headers["etag"].strip('"') != value.etag:
            raise Lost(f"{place} has a body that is not that of its etag")
        return value

    def listing(self, bucket: str) -> dict[bytes, tuple[str, int]]:
        """Key -> etag and size of every object, page by page."""
        found: dict[bytes, tuple[str, int]] = {}
        query = {"list-type": "2", "max-keys": str(_PAGE)}
        while True:
            text = self.call("GET", f"/{bucket}", dict(sorted(query.items()))).body.decode()
            for key, etag, size in _KEY.findall(text):
                found[unescape(key).encode()] = unescape(etag).strip('"'), int(size)
            token = _TOKEN.search(text)
            if token is None:
                return found
            query["continuation-token"] = unescape(token[1])

    def versions(self, bucket: str) -> list[Version]:
        """Every version of a bucket, page by page; no delete markers."""
        found: list[Version] = []
        query = {"max-keys": str(_PAGE), "versions": ""}
        while True:
            page = ElementTree.fromstring(self.call("GET", f"/{bucket}", query).body)
            told = partial(_told, page)
            for entry in page.findall(f"{_NAMESPACE}Version"):
                key, etag, size = (_told(entry, name) for name in ("Key", "ETag", "Size"))
                listed = etag.strip('"'), int(size)
                is_latest = _told(entry, "IsLatest") == "true"
                found.append(Version(key.encode(), _told(entry, "VersionId"), is_latest, listed))
            if told("IsTruncated") != "true":
                return found
            query |= {
                "key-marker": told("NextKeyMarker"),
                "version-id-marker": told("NextVersionIdMarker"),
            }
            query = dict(sorted(query.items()))

    def observe(self) -> Observed:
        """Everything that the server holds. Raises Lost where listing and reading differ."""
        found: Observed = {}
        for bucket in _NAME.findall(self.call("GET", "/").body.decode()):
            found[Place(bucket)] = BUCKET
            objects = self.listing(bucket)
            if bucket == KEPT:
                self._observe_versions(bucket, objects, found)
                continue
            for key, listed in objects.items():
                place = Place(bucket, key)
                found[place] = self._read_as_listed(place, listed)
        return found

    def _observe_versions(
        self, bucket: str, objects: Mapping[bytes, tuple[str, int]], found: Observed
    ) -> None:
        versions = self.versions(bucket)
        latest = {one.key: one.listed for one in versions if one.is_latest}
        if latest != objects:
            raise Lost(f"{bucket} lists {objects}, and as latest versions {latest}")
        for one in versions:
            value = self._read_as_listed(Place(bucket, one.key), one.listed, one.id)
            found[Place(bucket, one.key, dict(value.metadata)[OPERATION])] = value

    def _read_as_listed(self, place: Place, listed: tuple[str, int], version: str = "") -> Value:
        value = self.get(place, version)
        if (value.etag, value.size) != listed:
            raise Lost(f"{place} {version} is listed as {listed} and read as {value}")
        return value


def _query(version: str) -> dict[str, str]:
    return {"versionId": version} if version else {}


def _version(answer: Answer) -> str:
    """The id of the version that a request has made."""
    return {name.lower(): value for name, value in answer.headers.items()}.get(_VERSION_ID, "")


def _told(element: ElementTree.Element, name: str) -> str:
    return element.findtext(f"{_NAMESPACE}{name}") or ""


def _source_headers(source: Place, etag: str) -> dict[str, str]:
    return {
        "x-amz-copy-source": quote(f"{source.bucket}/{source.key.decode()}"),
        "x-amz-copy-source-if-match": etag,
    }


def _told_status(answer: Answer) -> int:
    """The status, that of an error too which stands inside a 200: S3 answers slow operations so."""
    late = _LATE_ERROR.match(answer.body) if answer.status == 200 else None
    return answer.status if late is None else _STATUSES[late[1].decode()]


class SmallServer(ProcessServer):
    """The multi-process server with everything small; see small_server.py."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._variables = environment
        super().__init__(directory, workers=2, environment=environment)

    def launch(self) -> None:
        """Starts the processes and returns at once."""
        command = [
            *(sys.executable, "-m", "tests.crash.small_server", "server"),
            *("--address", f"127.0.0.1:{self.port}"),
            *("--console-address", f"127.0.0.1:{self.console_port}"),
            *("--workers", "2", "--shutdown-timeout", "10"),
            *("--parts-grace-seconds", "0"),  # else few files would come to their end in a test
            *("--log-segment-bytes-min", str(SEGMENT_BYTES[0])),
            *("--log-segment-bytes-max", str(SEGMENT_BYTES[1])),
            *("--small-body-bytes-max", str(SMALL_BYTES_MAX)),
            str(self.directory),
        ]
        environment = {
            **os.environ,
            "FASTOBJ_ROOT_USER": ACCESS_KEY,
            "FASTOBJ_ROOT_PASSWORD": SECRET_KEY,
            **self._variables,
        }
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
