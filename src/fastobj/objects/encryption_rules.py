"""What of encryption a server does: which key service it has, and which kinds it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastobj.core import codes
from fastobj.core.errors import S3Error

if TYPE_CHECKING:
    from fastobj.kms.base import Kms


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one server.

    `kms` is None where there is no key service: then only customers bring keys. `key_id` is the
    key that wraps where a request names none. `sse_c_refusal` says why customers' keys are not
    taken; "" where they are.
    """

    kms: Kms | None = None
    key_id: str = "default"
    sse_s3: bool = True
    sse_c_refusal: str = ""

    def service(self) -> Kms:
        """The key service. Raises NotImplemented where there is none."""
        if self.kms is None:
            message = "This server has no key service: its setting kms is off."
            raise S3Error(codes.NOT_IMPLEMENTED, message)
        return self.kms
