"""Who owns what others put into a bucket, and whether access control lists count there.

Stored and told. Only owners have access yet, so that it decides nothing but which lists are taken.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.meta.records import Acl

ENFORCED: Final = "BucketOwnerEnforced"
CHOICES: Final = (ENFORCED, "BucketOwnerPreferred", "ObjectWriter")


class Ownership(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The ownership controls of a bucket; `choice` is one of CHOICES."""

    choice: str

    @property
    def is_enforced(self) -> bool:
        """Whether the bucket's owner owns all, and lists do not count."""
        return self.choice == ENFORCED

    def check_bucket(self, acl: Acl) -> None:
        """Refuses to enforce ownership over a list. Raises InvalidBucketAclWithObjectOwnership."""
        if self.is_enforced and acl is not None:
            raise S3Error(codes.INVALID_BUCKET_ACL_WITH_OBJECT_OWNERSHIP)
