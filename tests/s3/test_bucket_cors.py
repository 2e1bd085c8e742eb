"""GetBucketCors, PutBucketCors, DeleteBucketCors; PreflightBucket, PreflightObject; answers."""

import pytest

from tests.s3.calls import refused

PAGE = "https://page.example.com"
RULES = [
    {
        "ID": "pages",
        "AllowedHeaders": ["x-amz-*", "Content-Type"],
        "AllowedMethods": ["GET", "PUT"],
        "AllowedOrigins": ["https://*.example.com", "https://other.test"],
        "ExposeHeaders": ["ETag", "x-amz-request-id"],
        "MaxAgeSeconds": 3000,
    },
    {"AllowedMethods": ["HEAD"], "AllowedOrigins": ["*"], "AllowedHeaders": ["*"]},
]
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


def put(s3, bucket, rules):
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})


@pytest.fixture
def ruled(s3, bucket):
    """A bucket with rules."""
    put(s3, bucket, RULES)
    return bucket


def told(answer):
    """The headers for pages, without their prefix."""
    found = {
        name.lower().removeprefix("access-control-"): value
        for name, value in answer.headers.items()
        if name.lower().startswith("access-control-")
    }
    assert found == {} or answer.headers["vary"] == VARY
    return found


def ask(send, path, origin=PAGE, method=None, headers=None, **more):
    """What a browser asks first."""
    named = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }
    present = {name: value for name, value in named.items() if value is not None}
    return send("OPTIONS", path, headers=present, signed=False, **more)


PAGES = {
    "allow-origin": PAGE,
    "allow-credentials": "true",
    "allow-methods": "GET, PUT",
    "expose-headers": "ETag, x-amz-request-id",
    "max-age": "3000",
}


def test_put_get_delete(s3, bucket):
    assert refused(s3.get_bucket_cors, Bucket=bucket) == (404, "NoSuchCORSConfiguration")
    put(s3, bucket, RULES)
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == RULES
    put(s3, bucket, RULES[1:])
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == RULES[1:]
    for _ in range(2):
        answer = s3.delete_bucket_cors(Bucket=bucket)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert refused(s3.get_bucket_cors, Bucket=bucket) == (404, "NoSuchCORSConfiguration")


def rule(**changed):
    return {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], **changed}


BAD = {
    "no rule": ([], "MalformedXML"),
    "too many rules": ([rule()] * 101, "MalformedXML"),
    "no method": ([rule(AllowedMethods=[])], "MalformedXML"),
    "no origin": ([rule(AllowedOrigins=[])], "MalformedXML"),
    "unknown method": ([rule(AllowedMethods=["PATCH"])], "InvalidRequest"),
    "small letters": ([rule(AllowedMethods=["get"])], "InvalidRequest"),
    "two stars in an origin": ([rule(AllowedOrigins=["http://*.*"])], "InvalidRequest"),
    "two stars in a header": ([rule(AllowedHeaders=["*-*"])], "InvalidRequest"),
    "star in an exposed one": ([rule(ExposeHeaders=["x-*"])], "InvalidRequest"),
    "long id": ([rule(ID="i" * 256)], "MalformedXML"),
    "negative age": ([rule(MaxAgeSeconds=-1)], "MalformedXML"),
    "great age": ([rule(MaxAgeSeconds=2**31)], "MalformedXML"),
}


@pytest.mark.parametrize(("rules", "code"), BAD.values(), ids=BAD)
def test_what_is_refused(s3, ruled, rules, code):
    named = {"Bucket": ruled, "CORSConfiguration": {"CORSRules": rules}}
    assert refused(s3.put_bucket_cors, **named) == (400, code)
    assert s3.get_bucket_cors(Bucket=ruled)["CORSRules"] == RULES


def test_as_much_as_there_may_be(s3, bucket):
    one = rule(ID="i" * 255, MaxAgeSeconds=2**31 - 1, AllowedOrigins=["https://" + "o" * 1400])
    put(s3, bucket, [one] * 100)
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == [one] * 100
    larger = {"CORSRules": [rule(AllowedOrigins=["o" * 1900])] * 100}
    refusal = refused(s3.put_bucket_cors, Bucket=bucket, CORSConfiguration=larger)
    assert refusal == (400, "InvalidRequest")
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == [one] * 100
    s3.delete_bucket(Bucket=bucket)


# --- what browsers ask first


def test_a_request_that_is_allowed(send, ruled):
    for path in (f"/{ruled}", f"/{ruled}/no/such/key"):
        answer = ask(send, path, method="PUT")
        assert (answer.status, answer.body) == (200, b"")
        assert told(answer) == PAGES
        asked = ask(send, path, method="GET", headers="x-amz-Date,  content-type,")
        assert told(asked) == {**PAGES, "allow-headers": "x-amz-date, content-type"}


def test_the_first_rule_that_fits_counts(send, ruled):
    answer = ask(send, f"/{ruled}", "http://anywhere", "HEAD", "anything")
    assert told(answer) == {
        "allow-origin": "*",
        "allow-methods": "HEAD",
        "allow-headers": "anything",
    }


def test_a_request_with_a_sub_resource(send, ruled):
    for query in ("uploads", "partNumber=1&uploadId=x", "X-Amz-Signature=a&acl"):
        assert ask(send, f"/{ruled}/key", method="PUT", query=query).status == 200


@pytest.mark.parametrize(
    ("origin", "method", "headers"),
    [
        ("https://example.com", "GET", None),
        ("https://example.com.evil.test", "GET", None),
        ("http://page.example.com", "GET", None),
        ("https://OTHER.test", "GET", None),
        (PAGE, "DELETE", None),
        (PAGE, "GET", "authorization"),
        (PAGE, "GET", "x-amz-date, authorization"),
        ("null", "PUT", None),
    ],
)
def test_a_request_that_is_not_allowed(send, ruled, origin, method, headers):
    answer = ask(send, f"/{ruled}/key", origin, method, headers)
    assert (answer.status, answer.code) == (403, "AccessForbidden")
    assert b"This CORS request is not allowed." in answer.body
    assert f"<Method>{method}</Method><ResourceType>OBJECT</ResourceType>".encode() in answer.body
    assert told(answer) == {}


def test_what_is_missing(send, ruled, bucket, new_name):
    for name in (ruled, bucket, new_name()):
        answer = ask(send, f"/{name}", origin=None, method="GET")
        assert (answer.status, answer.code) == (400, "BadRequest")
    for method in (None, "FOO", "get"):
        answer = ask(send, f"/{ruled}", method=method)
        assert (answer.status, answer.code) == (400, "BadRequest")
        assert f"Invalid Access-Control-Request-Method: {method or 'null'}".encode() in answer.body


def test_a_bucket_without_rules(send, bucket, new_name):
    answer = ask(send, f"/{bucket}", method="PUT")
    assert (answer.status, answer.code) == (403, "AccessForbidden")
    assert b"CORSResponse: CORS is not enabled for this bucket." in answer.body
    assert b"<Method>PUT</Method><ResourceType>BUCKET</ResourceType>" in answer.body
    assert b"<Method>OPTIONS</Method>" in ask(send, f"/{bucket}").body
    answer = ask(send, f"/{new_name()}", method="PUT")
    assert (answer.status, answer.code) == (403, "AccessForbidden")
    assert b"CORSResponse: Bucket not found" in answer.body


# --- answers


def test_answers_tell_pages(send, s3, ruled):
    s3.put_object(Bucket=ruled, Key="key", Body=b"body")
    page = {"Origin": PAGE}
    read = send("GET", f"/{ruled}/key", headers=page)
    assert (read.status, read.body, told(read)) == (200, b"body", PAGES)
    assert told(send("GET", f"/{ruled}", headers=page)) == PAGES
    assert told(send("GET", f"/{ruled}/none", headers=page)) == PAGES
    unsigned = send("GET", f"/{ruled}/key", headers=page, signed=False)
    assert (unsigned.status, told(unsigned)) == (403, PAGES)
    written = send("PUT", f"/{ruled}/key", headers=page, body=b"new")
    assert (written.status, told(written)) == (200, PAGES)


def test_the_method_that_was_asked_about_counts(send, ruled):
    page = {"Origin": PAGE, "Access-Control-Request-Method": "GET"}
    assert told(send("DELETE", f"/{ruled}/key", headers=page)) == PAGES


def test_answers_that_tell_pages_nothing(send, s3, ruled, new_name):
    s3.put_object(Bucket=ruled, Key="key", Body=b"body")
    assert told(send("GET", f"/{ruled}/key")) == {}
    assert told(send("GET", f"/{ruled}/key", headers={"Origin": "https://evil.test"})) == {}
    assert told(send("DELETE", f"/{ruled}/none", headers={"Origin": PAGE})) == {}
    assert told(send("GET", "/", headers={"Origin": PAGE})) == {}
    assert told(send("GET", f"/{new_name()}", headers={"Origin": PAGE})) == {}
    assert told(send("PATCH", f"/{ruled}/key", headers={"Origin": PAGE})) == {}


def test_rules_change_at_once(send, s3, ruled):
    for _ in range(5):
        put(s3, ruled, [rule(AllowedOrigins=["https://new.test"])])
        assert told(send("GET", f"/{ruled}", headers={"Origin": PAGE})) == {}
        put(s3, ruled, RULES)
        assert told(send("GET", f"/{ruled}", headers={"Origin": PAGE})) == PAGES
