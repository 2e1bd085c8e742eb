"""CompleteMultipartUpload."""

import base64
import hashlib
import io
import os
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.s3.calls import refused
from tests.s3.uploading import MIB, PART, begin, complete, part, random_parts, upload


def test_one_object_of_its_parts(s3, bucket):
    bodies = random_parts()
    answer = upload(s3, bucket, "a/b c", bodies)
    joined = b"".join(hashlib.md5(body).digest() for body in bodies)
    etag = f'"{hashlib.md5(joined).hexdigest()}-3"'
    assert (answer["Bucket"], answer["Key"], answer["ETag"]) == (bucket, "a/b c", etag)
    assert answer["Location"].endswith(f"/{bucket}/a/b%20c")
    found = s3.get_object(Bucket=bucket, Key="a/b c")
    assert (found["ETag"], found["Body"].read()) == (etag, b"".join(bodies))
    (listed,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert (listed["ETag"], listed["Size"]) == (etag, sum(map(len, bodies)))


def test_a_file_by_boto3(s3, bucket, tmp_path):
    body = os.urandom(40 * MIB)
    (tmp_path / "file").write_bytes(body)
    config = TransferConfig(
        multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB, max_concurrency=6
    )
    s3.upload_file(str(tmp_path / "file"), bucket, "file", Config=config)
    assert s3.head_object(Bucket=bucket, Key="file")["ETag"].endswith('-5"')
    back = io.BytesIO()
    s3.download_fileobj(bucket, "file", back, Config=config)
    assert back.getvalue() == body


def test_order(s3, bucket):
    named = begin(s3, bucket)
    parts = [part(s3, named, number, b"x" * PART) for number in (3, 1, 2)]
    three, one, two = parts
    for wrong in (parts, [two, one], [one, one]):
        assert refused(complete, s3=s3, named=named, parts=wrong) == (400, "InvalidPartOrder")
    complete(s3, named, [one, two, three])
    assert s3.head_object(Bucket=bucket, Key="key")["ContentLength"] == 3 * PART


def test_parts_that_are_not_there(s3, bucket):
    named = begin(s3, bucket)
    one = part(s3, named, 1, b"x")
    for wrong in (
        {"PartNumber": 2, "ETag": one["ETag"]},
        {"PartNumber": 1, "ETag": '"0"'},
        {**one, "ChecksumCRC32": "AAAAAA=="},
    ):
        assert refused(complete, s3=s3, named=named, parts=[wrong]) == (400, "InvalidPart")
    assert refused(complete, s3=s3, named=named, parts=[{"PartNumber": 0, "ETag": "x"}]) == (
        (400, "InvalidArgument")
    )
    with pytest.raises(ClientError, match="MalformedXML"):
        complete(s3, named, [])


@pytest.mark.parametrize("size", [PART - 1, PART])
def test_the_least_size(s3, bucket, size):
    named = begin(s3, bucket)
    parts = [part(s3, named, number, b"x" * size) for number in (1, 2)]
    if size == PART:
        complete(s3, named, parts)
        return
    with pytest.raises(ClientError) as caught:
        complete(s3, named, parts)
    error = caught.value.response["Error"]
    assert (error["Code"], error["PartNumber"]) == ("EntityTooSmall", "1")
    assert error["ETag"] == parts[0]["ETag"].strip('"')


FORMS = {
    "no namespace, no declaration": "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
    "declared": (
        '<?xml version="1.0" encoding="UTF-8"?>\n<CompleteMultipartUpload'
        ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\n  {}\n</CompleteMultipartUpload>'
    ),
    "unknown": (
        "<CompleteMultipartUpload><Any><Thing/></Any>{}<Other>1</Other></CompleteMultipartUpload>"
    ),
}
PARTS = (
    "<Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>",
    "<Part><ETag>&quot;{}&quot;</ETag><PartNumber>1</PartNumber></Part>",
    '<Part>\n<ETag>"{}"</ETag>\n<PartNumber> 1 </PartNumber><Size>1</Size></Part>',
    "<Part><ETag>&#34;{}&#34;</ETag><PartNumber>1</PartNumber></Part>",
)


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_the_list(s3, bucket, send, form):
    for text in PARTS:
        named = begin(s3, bucket)
        etag = part(s3, named, 1, b"body")["ETag"].strip('"')
        body = FORMS[form].format(text.format(etag)).encode()
        query = f"uploadId={named['UploadId']}"
        answer = send("POST", f"/{bucket}/key", query=query, body=body)
        assert answer.status == 200, answer.body


@pytest.mark.parametrize(("last", "code"), [(10_000, "InvalidPart"), (10_001, "InvalidArgument")])
def test_the_longest_list(s3, bucket, send, last, code):
    """Ten thousand parts are read in the most wordy form of clients; none of them is there."""
    named = begin(s3, bucket)
    one = (
        "  <Part>\n    <ETag>&quot;{0}&quot;</ETag>\n    <PartNumber>{1}</PartNumber>\n"
        "    <ChecksumSHA256>{2}</ChecksumSHA256>\n  </Part>\n"
    )
    listed = "".join(
        [one.format("0" * 32, number, "A" * 43 + "=") for number in range(1, last + 1)]
    )
    body = f"<CompleteMultipartUpload>\n{listed}</CompleteMultipartUpload>".encode()
    answer = send("POST", f"/{bucket}/key", query=f"uploadId={named['UploadId']}", body=body)
    assert (answer.status, answer.code) == (400, code)


def test_again_with_the_same_parts(s3, bucket):
    named = begin(s3, bucket)
    parts = [part(s3, named, 1, b"x" * PART), part(s3, named, 2, b"y")]
    first = complete(s3, named, parts)
    again = complete(s3, named, parts)
    del first["ResponseMetadata"], again["ResponseMetadata"]
    assert first == again
    assert refused(complete, s3=s3, named=named, parts=parts[:1]) == (404, "NoSuchUpload")
    s3.put_object(Bucket=bucket, Key="key", Body=b"other")
    assert refused(complete, s3=s3, named=named, parts=parts) == (404, "NoSuchUpload")


def test_races_have_one_winner(s3, bucket):
    codes = set()
    for _ in range(5):
        named = begin(s3, bucket, "race")
        parts = [part(s3, named, 1, b"x" * 100_000)]

        def attempt(call, named=named, parts=parts):
            try:
                if call == "complete":
                    return complete(s3, named, parts)["ETag"]
                if call == "abort":
                    return bool(s3.abort_multipart_upload(**named))
                return bool(part(s3, named, 2, b"late"))
            except ClientError as error:
                codes.add(error.response["Error"]["Code"])
                return None

        calls = ["complete", "abort", "part", "complete", "abort"]
        with ThreadPoolExecutor(5) as threads:
            done = dict(zip(range(5), threads.map(attempt, calls), strict=True))
        completed = {done[0], done[3]} - {None}
        aborted = [done[n] for n in (1, 4) if done[n]]
        assert len(completed) + len(aborted) == 1
        assert refused(s3.list_parts, **named) == (404, "NoSuchUpload")
    assert codes <= {"NoSuchUpload"}


def test_conditions(s3, bucket):
    def ready():
        named = begin(s3, bucket)
        return {"named": named, "parts": [part(s3, named, 1, b"x")]}

    etag = complete(s3, **ready(), IfNoneMatch="*")["ETag"]
    for wrong in ({"IfNoneMatch": "*"}, {"IfMatch": '"other"'}):
        assert refused(complete, s3=s3, **ready(), **wrong) == (412, "PreconditionFailed")
    complete(s3, **ready(), IfMatch=etag)
    s3.delete_object(Bucket=bucket, Key="key")
    assert refused(complete, s3=s3, **ready(), IfMatch=etag) == (404, "NoSuchKey")


def test_the_size_of_the_object(s3, bucket):
    named = begin(s3, bucket)
    parts = [part(s3, named, 1, b"x" * 10)]
    wrong = {"s3": s3, "named": named, "parts": parts, "MpuObjectSize": 11}
    assert refused(complete, **wrong) == (400, "InvalidRequest")
    complete(s3, named, parts, MpuObjectSize=10)


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        ("CRC32", "COMPOSITE"),
        ("CRC32", "FULL_OBJECT"),
        ("SHA1", "COMPOSITE"),
        ("SHA256", "COMPOSITE"),
    ],
)
@pytest.mark.parametrize("names_parts", [False, True])
def test_checksums(s3, bucket, algorithm, kind, names_parts):
    named = begin(s3, bucket, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    bodies, parts = random_parts(), []
    for number, body in enumerate(bodies, 1):
        stored = s3.upload_part(**named, PartNumber=number, Body=body, ChecksumAlgorithm=algorithm)
        name = f"Checksum{algorithm}"
        parts.append({"PartNumber": number, "ETag": stored["ETag"]})
        if names_parts:
            parts[-1][name] = stored[name]
    answer = complete(s3, named, parts, ChecksumType=kind)
    assert answer["ChecksumType"] == kind
    assert answer[name].endswith("-3") == (kind == "COMPOSITE")
    if kind == "FULL_OBJECT":
        whole = s3.put_object(
            Bucket=bucket, Key="whole", Body=b"".join(bodies), ChecksumAlgorithm=algorithm
        )
        assert answer[name] == whole[name]
    found = s3.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert (found[name], found["ChecksumType"]) == (answer[name], kind)
    assert found["Body"].read() == b"".join(bodies)  # and boto3 has checked what it can


@pytest.mark.parametrize("suffix", ["", "-3"])
@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_a_composite_checksum_is_checked(s3, bucket, algorithm, suffix):
    """With the number of parts behind it or without, as clients write it."""
    asked, name = {"ChecksumAlgorithm": algorithm}, f"Checksum{algorithm}"
    named = begin(s3, bucket, **asked, ChecksumType="COMPOSITE")
    sizes = (PART, PART, 7)
    stored = [
        s3.upload_part(**named, PartNumber=number, Body=bytes(size), **asked)
        for number, size in enumerate(sizes, 1)
    ]
    raw = b"".join([base64.b64decode(one[name]) for one in stored])
    made = {
        "CRC32": lambda: zlib.crc32(raw).to_bytes(4, "big"),
        "SHA1": lambda: hashlib.sha1(raw).digest(),
        "SHA256": lambda: hashlib.sha256(raw).digest(),
    }[algorithm]()
    right = base64.b64encode(made).decode()
    other = base64.b64encode(bytes(len(made))).decode()
    parts = [{"PartNumber": n, "ETag": one["ETag"]} for n, one in enumerate(stored, 1)]
    call = {"s3": s3, "named": named, "parts": parts}
    assert refused(complete, **call, **{name: other + suffix}) == (400, "BadDigest")
    assert refused(complete, **call, **{name: right + "-2"}) == (400, "BadDigest")
    answer = complete(**call, **{name: right + suffix})
    assert (answer[name], answer["ChecksumType"]) == (f"{right}-3", "COMPOSITE")


def test_the_whole_checksum_is_checked(s3, bucket):
    asked = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
    named = begin(s3, bucket, **asked)
    parts = [part(s3, named, 1, b"123456789", ChecksumAlgorithm="CRC32")]
    wrong = {"s3": s3, "named": named, "parts": parts, "ChecksumCRC32": "AAAAAA=="}
    assert refused(complete, **wrong) == (400, "BadDigest")
    wrong = {"s3": s3, "named": named, "parts": parts, "ChecksumType": "COMPOSITE"}
    assert refused(complete, **wrong) == (400, "InvalidRequest")
    assert complete(s3, named, parts, ChecksumCRC32="y/Q5Jg==")["ChecksumCRC32"] == "y/Q5Jg=="
