"""Who may do what: the one place that decides, for every operation. No HTTP."""

from __future__ import annotations

from fastobj.iam.identity import Identity


def may(identity: Identity, owner: str) -> bool:
    """Whether an identity may touch a bucket of that owner, and what is in it: its owner may."""
    return identity.id == owner


def may_bypass_governance(identity: Identity, owner: str) -> bool:
    """Whether an identity may remove or unlock what retention in governance mode keeps
    (s3:BypassGovernanceRetention) in a bucket of that owner: its owner may."""
    return identity.id == owner
