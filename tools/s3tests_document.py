"""What is known of ceph/s3-tests: the portable list, the baselines, and docs/conformance.md.

The document is made from the files of tests/conformance and the tables here, so `tools.docs` can
tell when it is stale.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "conformance"
COMMIT = "8f0ae7b"
URL = "https://github.com/ceph/s3-tests"
SCHEMES = ("http", "https")


@dataclass(frozen=True)
class Group:
    """A row: tests whose name matches, unless an earlier row has them; why some of them fail.

    `why` is empty for what is served: each test there that fails has a row of its own below.
    """

    name: str
    pattern: str
    why: str = ""


GROUPS = (
    Group(
        "Server-side encryption",
        r"enc\b|encrypt|sse_|_enc_conflict|kms_|s3_kms|s3_noenc",
        "no bucket policies yet; the rest: see below",
    ),
    Group("Object lock", "object_lock"),
    Group(
        "POST forms",
        "post_object",
        "no bucket is public yet: forms that nobody signs are refused, and redirects to a bucket",
    ),
    Group(
        "CORS",
        "cors",
        "rules are kept and told; the test reads without a signature, which nobody may yet, or"
        " makes its bucket with Signature Version 2 in a header, which is off by default",
    ),
    Group(
        "Policies and public access",
        "policy|public_block|block_public|ignore_public",
        "no bucket policies and no public access blocks yet",
    ),
    Group(
        "Ownership controls",
        "ownership|bucket_owner_|object_writer",
        "kept and told; the test lets others in by a policy, and there are none yet",
    ),
    Group("Lifecycle", "lifecycle|expiration"),
    Group("Object attributes", "attributes|cksum_helper"),
    Group("Tags", "tag", "only a bucket's owner has access, whatever its access control lists say"),
    Group(
        "Versions",
        "version(ed|ing)|delete_marker|put_acl_mtime|current_(object_)?if_",
    ),
    Group("UploadPartCopy", "multipart_copy|upload_part_copy"),
    Group(
        "Access by others",
        "access_bucket|anon|raw_(get|auth|put)|not_owned|upload_owner|acl_tenant|100_continue$"
        "|key_bucket_gone|canned_bucketowner|copy_canned_acl",
        "only a bucket's owner has access, whatever its access control lists say",
    ),
    Group("Access control lists", "acl"),
    Group("Uploads in parts", "multipart|atomic_multipart"),
    Group("Copies", "copy"),
    Group("Listings", "list|key_count"),
    Group("Conditions", "if_?(none_?)?match|modifiedsince"),
    Group("Headers", "test_headers.py|100_continue|cache_control|expires"),
    Group("Buckets", "bucket"),
    Group("Objects", ""),
)


# Tests of groups that are served, and yet fail; or that fail for a reason of their own.
_SIGNED_ANEW = (
    "the test takes the header away or empties it, and then boto3 sets it as ever: what arrives is"
    " a correct request"
)
_EXPIRES = (
    "S3 answers 400 AuthorizationQueryParametersError unless X-Amz-Expires is from 1 to 604800; the"
    " suite wants 403"
)
_NO_SUCH_PART = (
    "S3 answers 416 InvalidPartNumber for a part that the object does not have; the suite wants"
    " 400 InvalidPart"
)
_OTHER_KEY = (
    "S3 answers 403 AccessDenied for the key of another customer; the suite wants 400"
    " InvalidRequest"
)
_NO_CHECKSUM = (
    "the value is no checksum at all, which S3 answers with InvalidRequest; the suite wants"
    " BadDigest, as for a wrong one"
)
_LISTS_AGAIN = (
    "S3 answers 200 in us-east-1 when somebody creates a bucket of theirs again, and takes the new"
    " access control list; the suite wants 409 BucketAlreadyExists"
)
_PERIOD = (
    "S3 answers InvalidArgument for a default retention that is not above zero; the suite wants"
    " InvalidRetentionPeriod"
)
EXPLAINED: Mapping[str, str] = {
    "test_object_lock_put_obj_lock_invalid_days": _PERIOD,
    "test_object_lock_put_obj_lock_invalid_years": _PERIOD,
    "test_bucket_create_bad_authorization_empty": _SIGNED_ANEW,
    "test_bucket_create_bad_authorization_none": _SIGNED_ANEW,
    "test_object_create_bad_authorization_empty": _SIGNED_ANEW,
    "test_object_create_bad_authorization_none": _SIGNED_ANEW,
    "test_object_create_bad_contentlength_empty": f"over HTTPS: {_SIGNED_ANEW}",
    "test_object_create_bad_contentlength_none": _SIGNED_ANEW,
    "test_bucket_recreate_new_acl": _LISTS_AGAIN,
    "test_bucket_recreate_overwrite_acl": _LISTS_AGAIN,
    "test_bucket_get_location": (
        "S3 shows no location for us-east-1, which is the region of the test; the suite wants it"
        " named"
    ),
    "test_bucket_list_prefix_unreadable": (
        "S3 percent-encodes the prefix too when the encoding type is url; boto3 asks for that and"
        " decodes all but this element"
    ),
    "test_delete_marker_expiration": (
        "S3 sends x-amz-delete-marker only where it is true; the suite wants false for a key whose"
        " marker has expired, and days of ten seconds (the setting lifecycle-day-seconds has them)"
    ),
    "test_delete_marker_nonversioned": (
        "S3 sends x-amz-delete-marker only where it is true; the suite wants false for a key that"
        " was never there"
    ),
    "test_object_checksum_crc64nvme": _NO_CHECKSUM,
    "test_object_checksum_sha256": _NO_CHECKSUM,
    "test_object_raw_get_x_amz_expires_out_max_range": _EXPIRES,
    "test_object_raw_get_x_amz_expires_out_positive_range": _EXPIRES,
    "test_object_raw_get_x_amz_expires_out_range_zero": _EXPIRES,
    "test_object_raw_put_authenticated_expired": _EXPIRES,
    "test_object_read_unreadable": (
        "boto3 sends the key as valid UTF-8, which may be a key; the suite wants 400"
    ),
    "test_object_set_get_unicode_metadata": (
        "the value goes out as UTF-8 and comes back byte for byte; boto3 reads it as Latin-1"
    ),
    "test_object_write_with_chunked_transfer_encoding": (
        "S3 wants the length of a body before it; the test sends a chunked one without (over HTTPS"
        " boto3 tells the length in another header)"
    ),
    "test_get_object_torrent": "GetObjectTorrent is refused; the suite takes a torrent or 404",
    "test_multipart_copy_invalid_range": (
        "S3 answers InvalidArgument for a range that ends beyond the source; the suite wants"
        " InvalidRange"
    ),
    "test_multipart_get_part": _NO_SUCH_PART,
    "test_multipart_single_get_part": _NO_SUCH_PART,
    "test_non_multipart_get_part": _NO_SUCH_PART,
    "test_post_object_upload_checksum": (
        "S3 wants each field of a form in a condition of its policy; the test sends a checksum that"
        " no condition names"
    ),
    "test_non_multipart_sse_c_get_part": _NO_SUCH_PART,
    "test_multipart_sse_c_get_part": (
        "at its end the test reads a part without the object's key, which S3 answers with"
        " InvalidRequest; the suite wants InvalidPart"
    ),
    **{
        f"test_copy_part_enc[{source}-sse-c-STANDARD-STANDARD-8388608]": (
            "S3 wants the customer's key with Complete where the upload was begun with a checksum"
            " algorithm, and this one was not; the suite wants it all the same"
        )
        for source in ("sse-s3", "sse-c", "sse-kms")
    },
    "test_encryption_sse_c_other_key": _OTHER_KEY,
    "test_encryption_sse_c_multipart_bad_download": _OTHER_KEY,
    "test_sse_kms_no_key": (
        "S3 encrypts with a key of its own where aws:kms comes without one; the suite wants a"
        " refusal"
    ),
    "test_multipart_resend_first_finishes_last": (
        "the test names part 1 twice in one list, which S3 answers with InvalidPartOrder"
    ),
}


@dataclass(frozen=True)
class Lists:
    """The portable ids, and those that pass over each scheme."""

    portable: tuple[str, ...]
    passed: Mapping[str, frozenset[str]]


def read(folder: Path = FOLDER) -> Lists:
    """The lists of a folder. Raises OSError where one is missing."""
    portable = tuple(_ids(folder / "s3tests-portable.txt"))
    return Lists(
        portable,
        {scheme: frozenset(_ids(_passed_file(folder, scheme))) for scheme in SCHEMES},
    )


def _passed_file(folder: Path, scheme: str) -> Path:
    return folder / f"s3tests-passed-{scheme}.txt"


def _ids(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line and line[0] != "#"]


def write_passed(scheme: str, ids: Iterable[str], folder: Path = FOLDER) -> None:
    """Writes the baseline of a scheme."""
    head = [
        f"# The tests of s3tests-portable.txt that pass over {scheme.upper()}: the baseline.",
        "# Written by `python -m tools.s3tests --update`, which adds and never takes away.",
    ]
    text = "\n".join([*head, *sorted(ids)]) + "\n"
    _passed_file(folder, scheme).write_text(text, "utf-8")


def group_of(id: str) -> Group:
    """The first group whose pattern is found in the id; the last one takes what is left."""
    return next(group for group in GROUPS if re.search(group.pattern, id))


def name_of(id: str) -> str:
    """The test's own name."""
    return id.partition("::")[2]


# The document -------------------------------------------------------------------------------------


def lines(lists: Lists) -> Iterator[str]:
    """Lines of docs/conformance.md."""
    yield from ("# Conformance", "")
    yield "<!-- Made by `python -m tools.docs` from tests/conformance and s3tests_document.py. -->"
    yield ""
    yield from _figures(lists)
    yield from _how_to_run()
    yield from _groups(lists)
    yield from _explained(lists)
    yield from _failing(lists)


def _prose(text: str) -> list[str]:
    return textwrap.wrap(text, 100, break_on_hyphens=False, break_long_words=False)


def _figures(lists: Lists) -> Iterator[str]:
    total = len(lists.portable)
    told = " and ".join(
        f"**{len(lists.passed[scheme])}** over {scheme.upper()}"
        f" ({len(lists.passed[scheme]) / total:.0%})"
        for scheme in SCHEMES
    )
    yield from _prose(
        f"fastobj is measured with [ceph/s3-tests]({URL}) at commit `{COMMIT}`. Of the {total}"
        f" portable tests it passes {told}."
    )
    yield ""
    yield from _prose(
        "*Portable* are the tests of `test_s3.py` and `test_headers.py` without the markers"
        " `fails_on_aws`, `bucket_logging`, `bucket_logging_cleanup`, `cloud_transition`,"
        " `cloud_restore`, `target_by_bucket`, `auth_aws2`, `iam_account`, `iam_cross_account`,"
        " `lifecycle_transition`, `storage_class`, `fails_on_dho` and `fails_on_mod_proxy_fcgi`:"
        " what S3 itself is expected to pass, and what needs no other service. They are listed in"
        " `tests/conformance/s3tests-portable.txt`."
    )


def _how_to_run() -> Iterator[str]:
    yield from ("", "## How to run it", "", "```sh")
    yield f"git clone {URL} PATH && git -C PATH checkout {COMMIT}"
    yield "make conformance SUITE=PATH"
    yield "```"
    yield ""
    yield from _prose(
        "This starts servers of its own with two workers each, temporary stores and the identities"
        " that the suite names, runs the tests over HTTP and then over HTTPS, and compares with the"
        " baselines `tests/conformance/s3tests-passed-http.txt` and `-https.txt`. A test that is in"
        " a baseline and does not pass is named, and the run fails."
        " `.venv/bin/python -m tools.s3tests --suite PATH` has more options: `--http`, `--https`,"
        " `-k EXPRESSION` for some tests, `--update` to take what newly passes into the baseline"
        " and into this document, `--keep DIR` to keep logs and stores, `--jobs N` for as many"
        " servers at once. Each test may take 120 seconds, and has a bucket prefix of its own, so"
        " that a bucket which cannot be emptied fails one test only."
    )


def _groups(lists: Lists) -> Iterator[str]:
    yield from ("", "## By group", "", "| Group | Tests | HTTP | HTTPS | What fails, and why |")
    yield "| --- | --- | --- | --- | --- |"
    for group in GROUPS:
        ids = [id for id in lists.portable if group_of(id) is group]
        counts = [sum(id in lists.passed[scheme] for id in ids) for scheme in SCHEMES]
        why = (group.why or "see below") if min(counts) < len(ids) else ""
        yield f"| {group.name} | {len(ids)} | {counts[0]} | {counts[1]} | {why} |"


def _explained(lists: Lists) -> Iterator[str]:
    yield from ("", "## What is not a missing feature", "")
    yield "These fail for a reason of their own. Where S3 and the suite differ, S3 holds."
    yield from ("", "| Test | Why |", "| --- | --- |")
    for name, why in sorted(EXPLAINED.items()):
        yield f"| `{name}` | {why} |"


def _failing(lists: Lists) -> Iterator[str]:
    yield from ("", "## What fails", "")
    yield "Over HTTP, HTTPS or both; a name that ends in `*` stands for all that begin so."
    for group in GROUPS:
        ids = [id for id in lists.portable if group_of(id) is group]
        names = sorted({_short(id) for id in ids if not passes(id, lists)})
        if names:
            yield from ("", f"**{group.name}**", "")
            yield from _prose(", ".join(f"`{name}`" for name in names))


def _short(id: str) -> str:
    """The name without what it was parametrised with."""
    name, bracket, _ = name_of(id).partition("[")
    return name + "*" * bool(bracket)


def passes(id: str, lists: Lists) -> bool:
    """Whether a test passes over each scheme."""
    return all(id in lists.passed[scheme] for scheme in SCHEMES)
