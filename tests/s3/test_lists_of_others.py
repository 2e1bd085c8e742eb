"""The cases by which others judge an S3 server, and our test of each.

Two lists, told in our words: the end-to-end suite of BleepStore (75 cases, eleven more, and what it
says S3 has beyond them), and the suite of Snowflake for storage that it calls S3-compatible.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

from fastobj.core.op import Support
from fastobj.s3.dispatch import handler_name
from fastobj.s3.operations import OPERATIONS

TESTS = Path(__file__).parent.parent

BUCKETS = {
    "made": "s3/test_create_bucket.py::test_create",
    "made again by its owner": (
        "s3/test_create_bucket.py::test_own_bucket_again_keeps_what_is_in_it"
    ),
    "a name in capitals": "s3/test_create_bucket.py::test_bad_names",
    "a name of two letters": "s3/test_create_bucket.py::test_bad_names",
    "deleted": "s3/test_delete_bucket.py::test_delete",
    "deleted, and never there": "s3/test_delete_bucket.py::test_never_there",
    "deleted, and not empty": "s3/test_delete_bucket.py::test_not_empty",
    "HEAD": "s3/test_head_bucket.py::test_there",
    "HEAD, and not there": "s3/test_head_bucket.py::test_not_there",
    "listed": "s3/test_list_buckets.py::test_whole_list",
    "the owner of the list": "s3/test_list_buckets.py::test_whole_list",
    "the dates in the list": "s3/test_list_buckets.py::test_whole_list",
    "location": "s3/test_get_bucket_location.py::test_first_region",
    "location, and not there": "s3/test_get_bucket_location.py::test_not_there",
    "ACL at first": "s3/test_get_bucket_acl.py::test_at_first",
    "a canned ACL": "s3/test_put_bucket_acl.py::test_canned",
}

OBJECTS = {
    "put and read": "s3/test_put_object.py::test_sizes",
    "the ETag is the MD5": "s3/test_put_object.py::test_sizes",
    "metadata": "s3/test_put_object.py::test_metadata",
    "overwritten": "s3/test_put_object.py::test_overwrite",
    "slashes in a key": "s3/test_put_object.py::test_keys_that_look_alike_are_different",
    "empty": "s3/test_get_object.py::test_empty",
    "read, and not there": "s3/test_get_object.py::test_not_there",
    "read, and no bucket": "s3/test_get_object.py::test_not_there",
    "a range": "s3/test_get_object.py::test_ranges",
    "the last bytes": "s3/test_get_object.py::test_open_ranges",
    "a range outside": "s3/test_get_object.py::test_ranges_outside",
    "HEAD": "s3/test_head_object.py::test_says_what_get_says",
    "HEAD, and not there": "s3/test_head_object.py::test_not_there",
    "If-Match of this ETag": "s3/test_get_object.py::test_conditions",
    "If-Match of another": "s3/test_get_object.py::test_conditions",
    "If-None-Match of this ETag": "s3/test_get_object.py::test_conditions",
    "deleted": "s3/test_delete_object.py::test_delete",
    "deleted, and never there": "s3/test_delete_object.py::test_idempotent",
    "many deleted": "s3/test_delete_objects.py::test_delete",
    "many deleted quietly": "s3/test_delete_objects.py::test_quiet",
    "copied": "s3/test_copy_object.py::test_sizes",
    "copied with other metadata": "s3/test_copy_object.py::test_metadata_is_replaced",
    "copied from nothing": "s3/test_copy_object.py::test_missing",
    "v2: all": "s3/test_list_objects_v2.py::test_pages_are_those_of_the_model",
    "v2: a prefix": "s3/test_list_objects_v2.py::test_pages_are_those_of_the_model",
    "v2: a delimiter": "s3/test_list_objects_v2.py::test_pages_are_those_of_the_model",
    "v2: pages": "s3/test_list_objects_v2.py::test_pages_are_those_of_the_model",
    "v2: an empty bucket": "s3/test_list_objects_v2.py::test_empty_bucket",
    "v2: start-after": "s3/test_list_objects_v2.py::test_start_after_need_not_be_there",
    "v2: what an entry says": "s3/test_list_objects_v2.py::test_what_an_entry_says",
    "v1: all": "s3/test_list_objects.py::test_pages_are_those_of_the_model",
    "v1: a marker": "s3/test_list_objects.py::test_random_markers",
}

UPLOADS = {
    "completed": "s3/test_complete_multipart_upload.py::test_one_object_of_its_parts",
    "the ETag of a part": "s3/test_upload_part.py::test_sizes",
    "a part stored again": "s3/test_upload_part.py::test_the_last_one_of_a_number_counts",
    "aborted": "s3/test_abort_multipart_upload.py::test_it_ends_the_upload",
    "aborted, and never there": "s3/test_abort_multipart_upload.py::test_what_names_no_upload",
    "uploads listed": "s3/test_list_multipart_uploads.py::test_everything",
    "those of a prefix": "s3/test_list_multipart_uploads.py::test_delimiter_and_prefix",
    "parts listed": "s3/test_list_parts.py::test_everything",
    "parts in another order": "s3/test_complete_multipart_upload.py::test_order",
    "another ETag of a part": "s3/test_complete_multipart_upload.py::test_parts_that_are_not_there",
    "a part of no upload": "s3/test_upload_part.py::test_no_such_upload",
}

PRESIGNED = {
    "GET": "s3/test_presigned_urls.py::test_put_and_get",
    "GET, and not there": "s3/test_presigned_urls.py::test_what_is_not_there",
    "PUT": "s3/test_presigned_urls.py::test_put_and_get",
    "its parameters": "s3/test_presigned_urls.py::test_each_parameter_is_needed",
}

ACLS = {
    "at first": "s3/test_get_object_acl.py::test_at_first",
    "a canned one": "s3/test_put_object_acl.py::test_canned",
    "a canned one with PUT": "s3/test_put_object_acl.py::test_canned",
    "of an object that is not there": "s3/test_get_object_acl.py::test_not_there",
}

ERRORS = {
    "no bucket": "s3/test_list_objects_v2.py::test_no_bucket",
    "no key": "s3/test_get_object.py::test_not_there",
    "a bucket that is not empty": "s3/test_delete_bucket.py::test_not_empty",
    "a name of one letter": "s3/test_create_bucket.py::test_bad_names",
    "a method that is none": "s3/test_create_bucket.py::test_wrong_method",
    "a request id": "s3/test_credentials.py::test_an_answer_names_its_request",
    "an unknown access key": "s3/test_credentials.py::test_wrong_credentials",
    "a wrong secret": "s3/test_credentials.py::test_wrong_credentials",
}

# What the suite got later.
ADDED = {
    "If-Modified-Since": "s3/test_get_object.py::test_conditions",
    "If-Unmodified-Since": "s3/test_get_object.py::test_conditions",
    "an object copied as a part": "s3/test_upload_part_copy.py::test_whole_sources",
    "a range copied as a part": "s3/test_upload_part_copy.py::test_ranges",
    "nothing copied as a part": "s3/test_upload_part_copy.py::test_what_is_missing",
    "a presigned URL out of its time": "s3/test_presigned_urls.py::test_time",
    "put by a URL and read otherwise": "s3/test_presigned_urls.py::test_put_and_get",
    "a part that is too small": "s3/test_complete_multipart_upload.py::test_the_least_size",
    "malformed XML": "s3/test_delete_objects.py::test_malformed",
    "no Content-Length": "s3/test_put_object.py::test_length_is_needed",
    "a key that is too long": "s3/test_put_object.py::test_bad_keys",
}

# What its authors found missing in their server beyond that.
BEYOND = {
    "copied if the source matches": "s3/test_copy_object.py::test_source_if_match",
    "copied if the source does not match": "s3/test_copy_object.py::test_source_if_none_match",
    "copied if modified since": "s3/test_copy_object.py::test_source_if_none_match",
    "copied if unmodified since": "s3/test_copy_object.py::test_source_if_match",
    "encoding-type of v2": "s3/test_list_objects_v2.py::test_encoding",
    "encoding-type of v1": "s3/test_list_objects.py::test_encoding",
    "encoding-type of uploads": "s3/test_list_multipart_uploads.py::test_encoding",
    "an upload that expires": "s3/test_expired_uploads.py::test_gone_after_seven_days",
    "the most parts": "s3/test_settings_of_a_server.py::test_the_most_parts",
    "the largest part": "s3/test_upload_part.py::test_more_than_5_gib_is_told_from_the_length",
    "the largest object": "s3/test_settings_of_a_server.py::test_the_largest_object",
}

CONDITIONS_AND_GRANTS = {
    "a right Content-MD5": "s3/test_put_object.py::test_content_md5",
    "a wrong Content-MD5": "s3/test_put_object.py::test_content_md5",
    "a Content-MD5 that is none": "s3/test_put_object.py::test_content_md5",
    "If-None-Match: * of a new key": "s3/test_put_object.py::test_if_none_match",
    "If-None-Match: * of an old key": "s3/test_put_object.py::test_if_none_match",
    "grants with a new bucket": "s3/test_put_bucket_acl.py::test_headers",
    "grants to a bucket": "s3/test_put_bucket_acl.py::test_headers",
    "a canned ACL and grants at once": "s3/test_put_bucket_acl.py::test_what_is_refused",
}

BLEEPSTORE = [
    (BUCKETS, 16),
    (OBJECTS, 32),
    (UPLOADS, 11),
    (PRESIGNED, 4),
    (ACLS, 4),
    (ERRORS, 8),
    (ADDED, 11),
]
LATER = [(BEYOND, 11), (CONDITIONS_AND_GRANTS, 8)]

WRONG = "s3/test_credentials.py::test_wrong_credentials"
WRONG_URLS = "s3/test_credentials.py::test_urls_of_wrong_credentials"
REGIONS = "s3/test_credentials.py::test_clients_of_another_region"
FOREIGN = "s3/test_ownership.py::test_nobody_else_may"
PAGES = "s3/test_list_objects.py::test_more_than_a_thousand"

SNOWFLAKE = {
    "GetBucketLocation": {
        "of a bucket": "s3/test_get_bucket_location.py::test_first_region",
        "by clients of other regions, and of none": REGIONS,
        "not there": "s3/test_get_bucket_location.py::test_not_there",
        "an unknown access key": WRONG,
        "a wrong secret": WRONG,
        "no credentials": WRONG,
        "somebody else's": FOREIGN,
        "a name that no bucket has": (
            "s3/test_get_bucket_location.py::test_names_that_no_bucket_has"
        ),
    },
    "GetObject": {
        "whole": "s3/test_get_object.py::test_answer",
        "a range, and what Content-Range says": "s3/test_get_object.py::test_ranges",
        "not there": "s3/test_get_object.py::test_not_there",
        "no credentials": WRONG,
        "somebody else's": FOREIGN,
    },
    "HeadObject": {
        "what it says": "s3/test_head_object.py::test_says_what_get_says",
        "of a version": "s3/test_head_object.py::test_version_ids",
        "after an overwrite": "s3/test_head_object.py::test_the_same_bytes_again",
        "not there": "s3/test_head_object.py::test_not_there",
    },
    "PutObject": {
        "a file": "s3/test_put_object.py::test_sizes",
        "metadata": "s3/test_put_object.py::test_metadata",
        "5 GiB": "clients/test_large_body.py::test_memory_does_not_follow_size",
        "no bucket": "s3/test_delete_bucket.py::test_operations_on_what_is_gone",
        "an unknown access key": WRONG,
        "a wrong secret": WRONG,
        "somebody else's": FOREIGN,
    },
    "ListObjectsV2": {
        "a few keys": "s3/test_list_objects_v2.py::test_pages_are_those_of_the_model",
        "more than 1,000": PAGES,
        "more than 1,000 by 300": PAGES,
        "the first form of the same": PAGES,
        "no credentials": WRONG,
    },
    "DeleteObject": {
        "gone": "s3/test_delete_object.py::test_delete",
        "no credentials": WRONG,
    },
    "DeleteObjects": {
        "without a version": "s3/test_delete_objects.py::test_delete",
        "with a version": "s3/test_delete_objects.py::test_results_differ_by_key",
        "no credentials": WRONG,
    },
    "CopyObject": {
        "size and ETag of the source": "s3/test_copy_object.py::test_sizes",
        "no credentials": WRONG,
    },
    "presigned URLs": {
        "good": "s3/test_presigned_urls.py::test_put_and_get",
        "out of their time": "s3/test_presigned_urls.py::test_time",
        "of an unknown access key": WRONG_URLS,
        "of a wrong secret": WRONG_URLS,
    },
}


@cache
def names_in(path):
    """The names of the tests of a file; None where there is no such file."""
    if not path.exists():
        return None
    found = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in found if isinstance(node, ast.FunctionDef)}


# The files of operations that are refused yet: they appear together with the operation.
NOT_YET = {
    f"s3/test_{handler_name(op.name)}.py" for op in OPERATIONS if op.support is Support.REFUSED
}


@pytest.mark.parametrize(
    "cases", [cases for cases, _ in BLEEPSTORE + LATER] + list(SNOWFLAKE.values())
)
def test_each_case_has_its_test(cases):
    for case, place in cases.items():
        file, _, name = place.partition("::")
        found = names_in(TESTS / file)
        if found is None:
            assert file in NOT_YET, f"{case}: there is no file {file}"
        else:
            assert name.startswith("test_"), case
            assert name in found, f"{case}: {file} has no test {name}"


def test_the_lists_are_whole():
    for cases, count in BLEEPSTORE + LATER:
        assert len(cases) == count, next(iter(cases))
    assert sum(count for _, count in BLEEPSTORE) == 86
    assert len(SNOWFLAKE) == 9


def test_no_list_takes_what_is_not_there():
    assert names_in(TESTS / "s3/test_nothing.py") is None
    assert "test_nothing" not in names_in(Path(__file__))
    with pytest.raises(AssertionError, match="no test"):
        test_each_case_has_its_test({"case": "s3/test_put_object.py::test_nothing"})
    with pytest.raises(AssertionError, match="no file"):
        test_each_case_has_its_test({"case": "s3/test_nothing.py::test_nothing"})
