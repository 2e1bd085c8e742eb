"""14: whatever is secret is compared in constant time, wherever it is compared."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] / "src/fastobj"
SECRET = re.compile(r"secret|password|token_given|signature|hmac|metrics_token")
# Names that tell of a secret, or of what stands where one would, but hold none.
HARMLESS = re.compile(r"_is_signed|secret_length|signatures?_of_|unsigned")


def named(node):
    """The names of variables, attributes and calls below a node."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr


def comparisons(tree):
    """Each == or != between two values of which neither is a constant."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        equal = any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
        if equal and not any(isinstance(side, ast.Constant) for side in sides):
            yield node, sides


def test_no_secret_is_compared_by_equality():
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        for node, sides in comparisons(ast.parse(path.read_text())):
            names = [name for side in sides for name in named(side)]
            if any(SECRET.search(name) and not HARMLESS.search(name) for name in names):
                found.append(f"{path.relative_to(ROOT)}: {ast.unparse(node)}")
    assert found == ALLOWED


# Compared with what everybody knows, or whether they are there at all: at the start and by the one
# who set them.
ALLOWED = [
    "core/setting_sources.py: bool(settings.kms_role_id) != bool(settings.kms_secret_id)",
    "node/credentials.py: bool(user) == bool(secret)",
    "node/credentials.py: secret.casefold() == user.casefold()",
]


def test_the_kernel_compares_signatures_without_a_branch_on_their_bytes():
    text = (ROOT / "_ext/sigv4_impl.c").read_text()
    body = text[text.index("int fo_sigv4_equal(") :]
    body = body[: body.index("\n}")]
    assert "memcmp" not in body
    assert "|=" in body
    assert "fo_sigv4_equal(" in (ROOT / "_ext/sigv4.pyx").read_text()
