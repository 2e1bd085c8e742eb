"""The xmlout kernel, slowly: the record decoded, and written by the table of XML shapes."""

from fastobj.meta import records
from fastobj.meta.records import ObjectRecord
from fastobj.s3 import paging, xml
from fastobj.s3.object_headers import checksum_type


def entries(rows, name, tail, url):
    """What the kernel's `entries` returns."""
    text = paging.text_encoder({"encoding-type": "url"} if url else {})
    return "".join(
        f"<{name.decode()}>{_inside(text(key), value)}{tail.decode()}</{name.decode()}>"
        for key, value in rows
    ).encode()


def _inside(key, value):
    record = records.decode(ObjectRecord, value)
    document = {
        "Key": key,
        "LastModified": record.modified_ns,
        "ETag": record.etag,
        "ChecksumAlgorithm": [name.upper() for name in record.checksums],
        "ChecksumType": checksum_type(record.checksums),
        "Size": record.size,
    }
    return xml.encode_inside("ListBucketResultV2", "Contents", document)
