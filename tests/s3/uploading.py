"""Short ways to upload in parts with boto3."""

import os
from concurrent.futures import ThreadPoolExecutor

MIB = 1 << 20
PART = 5 * MIB


def begin(s3, bucket, key="key", **arguments):
    """Begins an upload; returns the arguments that name it."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **arguments)
    return {"Bucket": bucket, "Key": key, "UploadId": upload["UploadId"]}


def part(s3, named, number, body, **arguments):
    """Stores a part; returns how to list it."""
    stored = s3.upload_part(**named, PartNumber=number, Body=body, **arguments)
    return {"PartNumber": number, "ETag": stored["ETag"]}


def complete(s3, named, parts, **arguments):
    """Completes an upload."""
    return s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts}, **arguments)


def upload(s3, bucket, key, bodies, **arguments):
    """A whole upload, its parts side by side."""
    named = begin(s3, bucket, key, **arguments)
    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(lambda item: part(s3, named, *item), enumerate(bodies, 1)))
    return complete(s3, named, parts)


def random_parts():
    """Bodies of three parts, the last one small."""
    return [os.urandom(PART), os.urandom(PART + 1), os.urandom(1000)]
