"""Ways to ask for encryption with boto3, and what each says when it is read."""

import hashlib
import os
from base64 import b64encode

from botocore.exceptions import ClientError

KEY = os.urandom(32)
OTHER_KEY = os.urandom(32)


def customers(key, prefix=""):
    """The arguments that bring a customer's key; boto3 adds its MD5."""
    return {f"{prefix}SSECustomerAlgorithm": "AES256", f"{prefix}SSECustomerKey": key}


def md5_of(key):
    return b64encode(hashlib.md5(key).digest()).decode()


# Kind -> arguments to write with, arguments to read with, what is told.
KINDS = {
    "plain": ({}, {}, {}),
    "s3": ({"ServerSideEncryption": "AES256"}, {}, {"ServerSideEncryption": "AES256"}),
    "kms": (
        {"ServerSideEncryption": "aws:kms"},
        {},
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "default"},
    ),
    "customer": (
        customers(KEY),
        customers(KEY),
        {"SSECustomerAlgorithm": "AES256", "SSECustomerKeyMD5": md5_of(KEY)},
    ),
}
ENCRYPTED = [kind for kind in KINDS if kind != "plain"]


def told(answer):
    """What an answer says of encryption."""
    return {name: value for name, value in answer.items() if name.startswith(("SSE", "ServerSide"))}


def read(s3, bucket, key, kind="plain", **arguments):
    """The bytes of an object."""
    return s3.get_object(Bucket=bucket, Key=key, **KINDS[kind][1], **arguments)["Body"].read()


def message(call, **arguments):
    """Status, code and message that a call is refused with."""
    try:
        call(**arguments)
    except ClientError as error:
        told = error.response["Error"]
        return error.response["ResponseMetadata"]["HTTPStatusCode"], told["Code"], told["Message"]
    raise AssertionError("it was not refused")
