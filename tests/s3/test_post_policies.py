"""PostObject: who signs a form, and what the policy lets it be."""

import base64
from datetime import timedelta

import pytest

from fastobj.core.limits import FORM_BYTES_MAX
from tests.s3.conftest import OTHER
from tests.s3.forms import (
    BOUNDARY,
    body_of,
    encoded,
    keys_in,
    now,
    policy_of,
    scope_of,
    sign_v2,
    sign_v4,
    told,
)

KIB, MIB = 1024, 1024 * 1024
AGAINST = "Invalid according to Policy: "


# --- who signs


def test_both_versions(s3, bucket, post):
    for version in (2, 4):
        content = b"signed with %d" % version
        assert post(content=content, version=version).status == 204
        assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == content


@pytest.mark.parametrize("client", ["s3", "s3v4"])
def test_boto3s_own_forms(request, s3, bucket, post, client):
    signer = request.getfixturevalue(client)
    found = signer.generate_presigned_post(
        bucket,
        "up/${filename}",
        Fields={"Content-Type": "text/css", "success_action_status": "201"},
        Conditions=[
            ["starts-with", "$Content-Type", "text/"],
            {"success_action_status": "201"},
            ["content-length-range", 1, 100],
        ],
    )
    assert post.send(body_of(found["fields"], b"a {}", filename="a.css")).status == 201
    assert s3.head_object(Bucket=bucket, Key="up/a.css")["ContentType"] == "text/css"


def test_forms_that_nobody_signed(s3, bucket, post):
    assert told(post.send(body_of({"key": "key"}, b"content")))[:2] == (403, "AccessDenied")
    assert keys_in(s3, bucket) == []


@pytest.mark.parametrize("version", [2, 4])
def test_each_field_of_a_signature_is_needed(s3, bucket, post, version):
    fields = post.signed(version=version)
    for name in fields:
        left = {other: value for other, value in fields.items() if other != name}
        answer = post.send(body_of(left, b"content"))
        assert told(answer)[:2] == (400, "InvalidArgument"), name
        assert f"must contain a field named '{name}'" in told(answer)[2]
    assert keys_in(s3, bucket) == []


@pytest.mark.parametrize("version", [2, 4])
def test_wrong_signatures(s3, bucket, post, version):
    fields = post.signed(version=version)
    signature = "signature" if version == 2 else "x-amz-signature"
    key_id = "AWSAccessKeyId" if version == 2 else "x-amz-credential"
    other = policy_of([{"bucket": bucket}, ["starts-with", "$key", ""]])
    unknown = fields[key_id].replace(post.keys.access_key, "nobody")
    for name, value, code in (
        (signature, fields[signature][::-1], "SignatureDoesNotMatch"),
        (signature, "", "SignatureDoesNotMatch"),
        (signature, "ü", "SignatureDoesNotMatch"),
        ("policy", other, "SignatureDoesNotMatch"),
        ("policy", fields["policy"] + "\n", "SignatureDoesNotMatch"),
        ("policy", "", "SignatureDoesNotMatch"),
        (key_id, unknown, "InvalidAccessKeyId"),
    ):
        answer = post.send(body_of({**fields, name: value}, b"content"))
        assert told(answer)[:2] == (403, code), name
    assert keys_in(s3, bucket) == []


def test_another_version_of_a_signature_beside(post):
    fields = {**post.signed(version=4), **post.signed(version=2)}
    assert post.send(body_of(fields, b"content")).code == "InvalidArgument"


def test_scopes_and_dates_of_version_4(s3, bucket, post):
    keys, good = post.keys, scope_of(post.keys)
    credential, date = good["x-amz-credential"], good["x-amz-date"]
    long_ago, soon = now() - timedelta(days=8), now() + timedelta(hours=1)
    for changed, code in (
        ({"x-amz-credential": credential.replace("us-east-1", "eu-west-1")}, "InvalidArgument"),
        ({"x-amz-credential": credential.replace("/s3/", "/iam/")}, "InvalidArgument"),
        ({"x-amz-credential": credential.replace("aws4_request", "aws4")}, "InvalidArgument"),
        ({"x-amz-credential": "nonsense"}, "InvalidArgument"),
        ({"x-amz-algorithm": "AWS4-HMAC-SHA1"}, "InvalidArgument"),
        ({"x-amz-date": "today"}, "InvalidArgument"),
        ({"x-amz-date": "20200101T000000Z"}, "InvalidArgument"),  # not the credential's
        (scope_of(keys, long_ago), "AccessDenied"),
        (scope_of(keys, soon), "AccessDenied"),
    ):
        scope = {**good, **changed}
        said = [{name: value} for name, value in scope.items()]
        policy = policy_of([{"bucket": bucket}, {"key": "key"}, *said])
        fields = {"key": "key", **sign_v4(policy, keys, scope)}
        assert post.send(body_of(fields, b"content")).code == code, changed
    assert date[:8] in credential
    assert keys_in(s3, bucket) == []


def test_there_are_no_temporary_keys(post):
    answer = post({"x-amz-security-token": "token"}, version=4)
    assert told(answer)[:2] == (400, "InvalidToken")


def test_another_signer_has_no_access(s3, other_s3, bucket, post):
    assert post(keys=OTHER).code == "AccessDenied"
    assert keys_in(s3, bucket) == []


def test_a_form_is_not_signed_elsewhere(post, send):
    body = body_of({"key": "key"}, b"content")
    kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = send("POST", f"/{post.bucket}", headers=kind, body=body)
    assert told(answer)[:2] == (400, "InvalidRequest")


def test_headers_of_the_request_are_not_signed(s3, bucket, post):
    for name in ("x-amz-acl", "x-amz-meta-a", "x-amz-server-side-encryption"):
        answer = post(headers={name: "public-read"})
        assert told(answer)[:2] == (403, "AccessDenied")
    assert post(headers={"Cache-Control": "max-age=1", "If-Match": "x"}).status == 204
    assert "CacheControl" not in s3.head_object(Bucket=bucket, Key="key")


# --- conditions


def allowed(post, *conditions):
    return [{"bucket": post.bucket}, {"key": "key"}, *conditions]


@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [
        ({"x-amz-meta-a": "one"}, "one", "One"),
        (["eq", "$x-amz-meta-a", "one"], "one", "one "),
        (["EQ", "$X-AMZ-Meta-A", "one"], "one", ""),
        (["eq", "$x-amz-meta-a", 17], "17", "017"),
        (["starts-with", "$x-amz-meta-a", "on"], "one", "bone"),
        (["starts-with", "$Content-Type", "image/"], "image/png, image/gif", "image/png, text/css"),
    ],
)
def test_conditions(post, condition, good, bad):
    name = next(iter(condition)) if isinstance(condition, dict) else condition[1][1:]
    conditions = allowed(post, condition)
    assert post({name: good}, conditions=conditions).status == 204
    status, code, text = told(post({name: bad}, conditions=conditions))
    assert (status, code) == (403, "AccessDenied")
    assert text.startswith(AGAINST + "Policy Condition failed: [")


def test_a_field_that_a_condition_names_must_be_there(post):
    for condition in (["starts-with", "$x-amz-meta-a", ""], {"x-amz-meta-a": ""}):
        assert post(conditions=allowed(post, condition)).status == 403
        sent = post({"x-amz-meta-a": ""}, conditions=allowed(post, condition))
        assert sent.status == 204


def test_all_conditions_on_a_field_hold(post):
    both = [["starts-with", "$x-amz-meta-a", "on"], ["starts-with", "$x-amz-meta-a", "one"]]
    assert post({"x-amz-meta-a": "one"}, conditions=allowed(post, *both)).status == 204
    assert post({"x-amz-meta-a": "on"}, conditions=allowed(post, *both)).status == 403


@pytest.mark.parametrize(
    "name", ["x-amz-meta-a", "Content-Type", "acl", "tagging", "success_action_redirect", "other"]
)
def test_a_field_that_no_condition_names(s3, bucket, post, name):
    answer = post({name: "private"}, conditions=allowed(post))
    assert told(answer) == (403, "AccessDenied", f"{AGAINST}Extra input fields: {name.lower()}")
    assert keys_in(s3, bucket) == []


def test_fields_that_no_condition_needs_to_name(s3, bucket, post):
    assert post({"x-ignore-a": "b"}, conditions=allowed(post)).status == 204
    with_credentials = post.signed(conditions=allowed(post), version=2)
    assert post.send(body_of(with_credentials, b"content")).status == 204
    scope = scope_of(post.keys)
    unnamed = {"key": "key", **sign_v4(policy_of(allowed(post)), post.keys, scope)}
    answer = post.send(body_of(unnamed, b"content"))
    assert "Extra input fields: x-amz-algorithm" in told(answer)[2]


def test_the_bucket_is_that_of_the_url(s3, bucket, post, new_name):
    other = new_name()
    s3.create_bucket(Bucket=other)
    fields = post.signed()
    assert post.send(body_of(fields, b"content"), bucket=other).status == 403
    answer = post.send(body_of({"bucket": bucket, **fields}, b"content"), bucket=other)
    assert answer.status == 403
    lying = post({"bucket": other}, conditions=[{"bucket": bucket}, {"key": "key"}])
    assert lying.status == 403
    assert post({"bucket": bucket}, conditions=[{"bucket": bucket}, {"key": "key"}]).status == 204
    assert keys_in(s3, other) == []


def test_a_policy_must_name_the_bucket(s3, bucket, post):
    answer = post(conditions=[{"key": "key"}])
    assert told(answer)[2] == f"{AGAINST}Extra input fields: bucket"
    assert post(conditions=[{"key": "key"}, ["starts-with", "$bucket", bucket[:5]]]).status == 204


def test_a_policy_must_name_the_key(s3, bucket, post):
    assert told(post(conditions=[{"bucket": bucket}]))[2] == f"{AGAINST}Extra input fields: key"
    assert keys_in(s3, bucket) == []


def test_expired_policies(s3, bucket, post):
    answer = post(lasts=timedelta(seconds=-1))
    assert told(answer) == (403, "AccessDenied", f"{AGAINST}Policy expired.")
    assert keys_in(s3, bucket) == []


RANGES = [(0, 10), (5, 5), ("3", "7"), (7, 200_000), (70_000, 200_000), (0, 2 * MIB)]


@pytest.mark.parametrize("sizes", RANGES)
def test_sizes_that_a_policy_lets_through(s3, bucket, post, sizes):
    least, most = map(int, sizes)
    conditions = allowed(post, ["content-length-range", *sizes])
    for size in {least, most}:
        assert post(content=bytes(size), conditions=conditions).status == 204
    s3.delete_object(Bucket=bucket, Key="key")
    assert told(post(content=bytes(most + 1), conditions=conditions))[:2] == (400, "EntityTooLarge")
    if least:
        answer = post(content=bytes(least - 1), conditions=conditions)
        assert told(answer)[:2] == (400, "EntityTooSmall")
    assert keys_in(s3, bucket) == []


def test_fields_behind_the_file_do_not_count_for_its_size(post):
    fields = post.signed(conditions=allowed(post, ["content-length-range", 10, 20]))
    behind = [("more", "x" * 500)]
    assert post.send(body_of(fields, bytes(9), behind=behind)).code == "EntityTooSmall"
    assert post.send(body_of(fields, bytes(20), behind=behind)).status == 204
    assert post.send(body_of(fields, bytes(21), behind=behind)).code == "EntityTooLarge"


def test_all_ranges_hold(post):
    both = [["content-length-range", 0, 10], ["content-length-range", 5, 100]]
    for size, status in ((4, 400), (5, 204), (10, 204), (11, 400)):
        assert post(content=bytes(size), conditions=allowed(post, *both)).status == status


def test_a_file_that_cannot_fit_is_not_read(post):
    fields = post.signed(conditions=allowed(post, ["content-length-range", 0, MIB]))
    head = body_of(fields, b"")[: -len(BOUNDARY) - 8]
    answer = post.send(head + bytes(FORM_BYTES_MAX), length=1 << 32)
    assert told(answer)[:2] == (400, "EntityTooLarge")


@pytest.mark.parametrize(
    "document",
    [
        "", "not json", "[]", '{"expiration":', "null", "1e400", '"\\ud800"', "[" * 9000,
        '{"a":' * 2000,
        {"expiration": "2040-01-01T00:00:00Z"},
        {"conditions": []},
        {"EXPIRATION": "2040-01-01T00:00:00Z", "conditions": []},
        {"expiration": "2040-01-01T00:00:00Z", "conditions": [], "more": 1},
        {"expiration": "2040-01-01T00:00:00Z", "conditions": {}},
        *(
            {"expiration": when, "conditions": [["starts-with", "$key", ""]]}
            for when in (
                "tomorrow", 2_000_000_000, None, True, "2040-02-30T00:00:00Z", "2040-01-01",
                "2040-01-01T00:00:00", "2040-01-01 00:00:00Z", "2040-01-01T00:00:00+01:00",
                "20400101T000000Z", "２０４０-01-01T00:00:00Z",
            )
        ),
        '{"expiration":"2000-01-01T00:00:00Z","expiration":"2040-01-01T00:00:00Z","conditions":[]}',
        '{"expiration":"2040-01-01T00:00:00Z","conditions":[{"key":"a","key":"key"}]}',
        '{"expiration":"2040-01-01T00:00:00Z","conditions":[["content-length-range",0,1e400]]}',
        '{"expiration":"2040-01-01T00:00:00Z","conditions":[["content-length-range",0,NaN]]}',
    ],
)  # fmt: skip
def test_policies_that_are_none(s3, bucket, post, document):
    policy = encoded(document)
    answer = post.send(body_of({"key": "key", **sign_v2(policy, post.keys)}, b"content"))
    assert told(answer)[:2] == (400, "InvalidPolicyDocument")
    assert told(answer)[2].startswith("Invalid Policy: ")
    assert keys_in(s3, bucket) == []


@pytest.mark.parametrize("policy", ["%%%", "e30", "e30=e30=", "ü", "e-_="])
def test_policies_that_are_no_base64(post, policy):
    answer = post.send(body_of({"key": "key", **sign_v2(policy, post.keys)}, b"content"))
    assert told(answer)[:2] == (400, "InvalidPolicyDocument")


@pytest.mark.parametrize(
    "condition",
    [
        None, True, 1, "eq", {}, {"key": "key", "acl": "a"}, {"key": 1}, {"key": None}, [], [[]],
        ["eq"], ["eq", "$key"], ["eq", "$key", "a", "b"], ["eq", 1, "a"], ["eq", "$key", True],
        ["eq", "$key", None], ["eq", "$key", ["a"]], ["like", "$key", "a"], [1, "$key", "a"],
        ["content-length-range"], ["content-length-range", 0], ["content-length-range", 0, 1, 2],
        ["content-length-range", -1, 10], ["content-length-range", 0, 1.5],
        ["content-length-range", "", 10], ["content-length-range", True, 10],
        ["content-length-range", "1e3", 10], ["content-length-range", 0, "９"],
        ["content-length-range", 0, 10**30],
    ],
)  # fmt: skip
def test_conditions_that_are_none(s3, bucket, post, condition):
    answer = post(conditions=[*allowed(post), condition])
    assert told(answer)[:2] == (400, "InvalidPolicyDocument")
    assert keys_in(s3, bucket) == []


@pytest.mark.parametrize("name", ["key", "$", "", "$nothing", "content-type"])
def test_conditions_on_no_field(post, name):
    assert post(conditions=[*allowed(post), ["eq", name, "key"]]).status == 403


def test_contradictions_let_nothing_through(post):
    for more in (["content-length-range", 10, 5], {"key": "other"}):
        assert post(content=bytes(7), conditions=[*allowed(post), more]).status >= 400


def test_the_escape_of_a_dollar(post):
    policy = policy_of([{"bucket": post.bucket}, ["eq", "$key", "@price"]])
    text = base64.b64decode(policy).decode().replace("@", r"\$")
    fields = {"key": "$price", **sign_v2(encoded(text), post.keys)}
    assert post.send(body_of(fields, b"content")).status == 204
