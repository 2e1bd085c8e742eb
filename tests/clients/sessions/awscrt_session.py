"""What somebody does with awscrt's S3 client in a day; scripts.py says with which arguments.

This client sends requests that its user has written: so they are written here.
"""

import io
import os
import re
import sys
import tempfile
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

from awscrt.auth import (
    AwsCredentialsProvider,
    AwsSignatureType,
    AwsSignedBodyValue,
    AwsSigningAlgorithm,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.http import HttpHeaders, HttpRequest
from awscrt.io import ClientTlsContext, TlsContextOptions
from awscrt.s3 import (
    S3ChecksumAlgorithm,
    S3ChecksumConfig,
    S3ChecksumLocation,
    S3Client,
    S3RequestTlsMode,
    S3RequestType,
    S3ResponseError,
    create_default_s3_signing_config,
)

ENDPOINT, STYLE, BUCKET, *FOLDERS = sys.argv[1:]
HOST = ENDPOINT.partition("://")[2]
REGION = os.environ["AWS_DEFAULT_REGION"]
KEYS = ["plain", "a/b/c", "with blanks + signs", "ümlaut/键"]
LARGE = os.urandom(20 * 1024 * 1024 + 1)
CREDENTIALS = AwsCredentialsProvider.new_static(
    os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
)


def new_client():
    """A client with its defaults, which trusts the certificate of the tests."""
    trusted = None
    if authorities := os.environ.get("AWS_CA_BUNDLE"):
        options = TlsContextOptions()
        options.override_default_trust_store_from_path(None, authorities)
        trusted = ClientTlsContext(options).new_connection_options()
        trusted.set_server_name(HOST.partition(":")[0])
    return S3Client(
        region=REGION,
        tls_mode=S3RequestTlsMode.ENABLED if trusted else S3RequestTlsMode.DISABLED,
        tls_connection_options=trusted,
        signing_config=create_default_s3_signing_config(
            region=REGION, credential_provider=CREDENTIALS
        ),
    )


CLIENT = new_client()


def http_request(method, key, query="", body=None, headers=()):
    """A request for a key of the bucket, not yet signed."""
    path = f"/{BUCKET}" + (f"/{urllib.parse.quote(key)}" if key else "")
    every = [("Host", HOST), *headers]
    if body is not None:
        every.append(("Content-Length", str(len(body))))
    return HttpRequest(
        method,
        path + (f"?{query}" if query else ""),
        HttpHeaders(every),
        io.BytesIO(body) if body is not None else None,
    )


def call(method, key="", query="", body=None, headers=(), name="", **more):
    """Sends a request; the headers and the body of its answer."""
    kinds = {"PutObject": S3RequestType.PUT_OBJECT, "GetObject": S3RequestType.GET_OBJECT}
    found, pieces = {}, {}

    def on_headers(status_code, headers, **_):
        found.update((key.lower(), text) for key, text in headers)

    def on_body(chunk, offset, **_):
        pieces[offset] = bytes(chunk)

    if "recv_filepath" not in more:
        more["on_body"] = on_body
    CLIENT.make_request(
        type=kinds.get(name, S3RequestType.DEFAULT),
        operation_name=name,
        request=http_request(method, key, query, body, headers),
        on_headers=on_headers,
        **more,
    ).finished_future.result(600)
    return found, b"".join(piece for _, piece in sorted(pieces.items()))


def status_of(*arguments, **more):
    """The status that a request is answered."""
    try:
        call(*arguments, **more)
        return 200
    except S3ResponseError as error:
        return error.status_code


def put(key, body, **more):
    """PutObject: in parts by itself where the body is large."""
    return call("PUT", key, body=body, name="PutObject", **more)[0]


def get(key, **more):
    """GetObject: side by side in parts by itself."""
    return call("GET", key, name="GetObject", **more)


def head(key):
    """The headers of an object."""
    return call("HEAD", key, name="HeadObject")[0]


def listed():
    """All keys."""
    keys, query = [], ""
    while True:
        _, page = call("GET", query=f"list-type=2{query}", name="ListObjectsV2")
        keys += [unescape(key) for key in re.findall("<Key>(.*?)</Key>", page.decode())]
        token = re.search("<NextContinuationToken>(.*?)</Next", page.decode())
        if not token:
            return keys
        query = f"&continuation-token={urllib.parse.quote(unescape(token[1]), safe='')}"


def everyday():
    """Everything once, each answer checked."""
    assert status_of("HEAD", name="HeadBucket") == 404
    call("PUT", name="CreateBucket")
    assert status_of("HEAD", name="HeadBucket") == 200
    for key in KEYS:
        put(key, key.encode(), headers=[("x-amz-meta-note", "x y")])
        assert get(key)[1] == key.encode()
        assert head(key)["x-amz-meta-note"] == "x y"
    assert listed() == sorted(KEYS, key=str.encode), listed()
    source = urllib.parse.quote(f"/{BUCKET}/{KEYS[2]}")
    call("PUT", "copy", headers=[("x-amz-copy-source", source)], name="CopyObject")
    assert get("copy")[1] == KEYS[2].encode()
    assert head("copy")["x-amz-meta-note"] == "x y"
    large()
    checksums()
    presigned()
    files()
    remove()


def large():
    """Above its threshold a body goes up in parts."""
    put("large", LARGE)
    assert re.search('-[0-9]+"$', head("large")["etag"]), head("large")
    assert get("large")[1] == LARGE
    part = get("large", headers=[("Range", "bytes=5000000-9999999")])[1]
    assert part == LARGE[5_000_000:10_000_000]


def checksums():
    """Each kind in a trailer and in a header; it is checked on the way back."""
    for algorithm in ("CRC32C", "CRC32", "SHA1", "SHA256", "CRC64NVME"):
        for location in S3ChecksumLocation:
            config = S3ChecksumConfig(
                algorithm=S3ChecksumAlgorithm[algorithm],
                location=location,
                validate_response=True,
            )
            put("sum", LARGE[:70_000], checksum_config=config)
            told = get("sum", checksum_config=S3ChecksumConfig(validate_response=True))
            assert told[1] == LARGE[:70_000]
            assert f"x-amz-checksum-{algorithm.lower()}" in told[0], told[0]
    trailing = S3ChecksumConfig(
        algorithm=S3ChecksumAlgorithm.CRC64NVME, location=S3ChecksumLocation.TRAILER
    )
    put("sum", LARGE, checksum_config=trailing)
    done = {}
    config = S3ChecksumConfig(validate_response=True)
    get("sum", checksum_config=config, on_done=lambda **more: done.update(more))
    assert done["did_validate_checksum"], done


def presigned():
    """URLs for somebody without keys."""
    for method, body in (("PUT", b"link"), ("GET", None)):
        config = AwsSigningConfig(
            algorithm=AwsSigningAlgorithm.V4,
            signature_type=AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS,
            credentials_provider=CREDENTIALS,
            region=REGION,
            service="s3",
            use_double_uri_encode=False,
            should_normalize_uri_path=False,
            signed_body_value=AwsSignedBodyValue.UNSIGNED_PAYLOAD,
            expiration_in_seconds=60,
        )
        signed = aws_sign_request(http_request(method, "plain"), config).result(60)
        request = urllib.request.Request(ENDPOINT + signed.path, body, method=method)
        with urllib.request.urlopen(request) as response:
            assert response.read() == (b"" if body else b"link")


def files():
    """From a file, and into one."""
    with tempfile.TemporaryDirectory() as place:
        one, other = Path(place, "one"), Path(place, "other")
        one.write_bytes(LARGE)
        send("file", one)
        get("file", recv_filepath=str(other))
        assert other.read_bytes() == LARGE


def send(key, path):
    """PutObject from a file."""
    length = [("Content-Length", str(path.stat().st_size))]
    return call("PUT", key, headers=length, name="PutObject", send_filepath=str(path))[0]


def remove():
    """Everything in the bucket, and the bucket."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: call("DELETE", key, name="DeleteObject"), listed()))
    assert listed() == []
    call("DELETE", name="DeleteBucket")


def go_around(tree, back):
    """A tree up and down, file by file."""
    call("PUT", name="CreateBucket")
    keys = [str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()]

    def fetch(key):
        (back / key).parent.mkdir(parents=True, exist_ok=True)
        get(key, recv_filepath=str(back / key))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: send(key, tree / key), keys))
        assert listed() == sorted(keys, key=str.encode)
        list(pool.map(fetch, keys))
    remove()


if FOLDERS:
    go_around(*map(Path, FOLDERS))
else:
    everyday()
