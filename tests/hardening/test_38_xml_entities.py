"""Check 38: no document type, entity or inclusion is followed, in any XML body of the table."""

import contextlib
import os
import socket
import sys

import pytest

from fastobj.core.errors import S3Error
from fastobj.s3 import xml
from fastobj.s3.shapes import SHAPES
from tests.hardening.rows import WITH_XML, document, minimal, place

SECRET = "what-the-file-holds"
# {root} is the document's element, {file} and {port} what must not be touched, {document} the
# document whose texts refer to the entity `e`.
DECLARED = {
    "bare": "<!DOCTYPE {root}>{document}",
    "internal": '<!DOCTYPE {root} [<!ENTITY e "text">]>{document}',
    "file": '<!DOCTYPE {root} [<!ENTITY e SYSTEM "file://{file}">]>{document}',
    "path": '<!DOCTYPE {root} [<!ENTITY e SYSTEM "{file}">]>{document}',
    "http": '<!DOCTYPE {root} [<!ENTITY e SYSTEM "http://127.0.0.1:{port}/e">]>{document}',
    "public": '<!DOCTYPE {root} [<!ENTITY e PUBLIC "e" "http://127.0.0.1:{port}/e">]>{document}',
    "external type": '<!DOCTYPE {root} SYSTEM "http://127.0.0.1:{port}/e.dtd">{document}',
    "type in a file": '<!DOCTYPE {root} SYSTEM "file://{file}">{document}',
    "parameter": '<!DOCTYPE {root} [<!ENTITY % e SYSTEM "file://{file}"> %e;]>{document}',
    "parameter by http": (
        '<!DOCTYPE {root} [<!ENTITY % e SYSTEM "http://127.0.0.1:{port}/e"> %e;]>{document}'
    ),
    "parameter in a type": (
        "<!DOCTYPE {root} [<!ENTITY % a \"<!ENTITY e SYSTEM 'file://{file}'>\"> %a;]>{document}"
    ),
    "unparsed": (
        '<!DOCTYPE {root} [<!NOTATION n SYSTEM "n"><!ENTITY e SYSTEM "{file}" NDATA n>]>{document}'
    ),
    "attributes": '<!DOCTYPE {root} [<!ATTLIST {root} a CDATA "e">]>{document}',
    "undeclared": "{document}",
}
# Nothing here is declared, so the document is served; what it points to is not looked at.
POINTING = {
    "inclusion": (
        '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file://{file}" parse="text"/>'
    ),
    "schema": (
        '<e xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:schemaLocation="e http://127.0.0.1:{port}/e.xsd"/>'
    ),
    "style sheet": '<?xml-stylesheet href="http://127.0.0.1:{port}/e.xsl"?>',
}
ENCODINGS = ("utf-7", "cp037", "idna", "rot13", "zlib", "no-such-encoding", "hardening.test_38")


class Canaries:
    """A file, a pipe and a port that nobody but a test may touch."""

    def __init__(self, folder):
        self.file = folder / "secret"
        self.file.write_text(SECRET)
        self.pipe = folder / "pipe"
        os.mkfifo(self.pipe)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)

    @property
    def named(self):
        """What templates call them. Whoever opens the pipe waits for ever."""
        return {"file": self.pipe, "port": self.listener.getsockname()[1]}

    def check(self, answer):
        """Asserts that nobody came, and that the answer tells nothing."""
        with pytest.raises(BlockingIOError):
            self.listener.accept()
        assert SECRET.encode() not in answer.body


@pytest.fixture
def canaries(tmp_path):
    made = Canaries(tmp_path)
    yield made
    made.listener.close()


def declared(op, name, named):
    """The document of a row with one of the declarations."""
    content = document(op.xml_in, text="&e;")
    root = SHAPES[op.xml_in].root
    return DECLARED[name].format(root=root, document=content, **named)


def ask(caller, op, bucket, body):
    return caller(op.method, *place(op, bucket, "key"), query=minimal(op).query, body=body)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("op", WITH_XML, ids=lambda op: op.name)
def test_declarations_are_refused(caller, bucket, canaries, op, encoding):
    has_text = "&e;" in document(op.xml_in, text="&e;")
    for name in DECLARED if has_text else DECLARED.keys() - {"undeclared"}:
        for named in (canaries.named, {**canaries.named, "file": canaries.file}):
            answer = ask(caller, op, bucket, declared(op, name, named).encode(encoding))
            assert (answer.status, answer.code) == (400, "MalformedXML"), name
            canaries.check(answer)


@pytest.mark.parametrize("op", WITH_XML, ids=lambda op: op.name)
def test_pointers_are_not_followed(caller, bucket, canaries, op):
    plain = ask(caller, op, bucket, document(op.xml_in).encode())
    for name, pointer in POINTING.items():
        body = document(op.xml_in).replace("</", f"{pointer}</", 1).format(**canaries.named)
        answer = ask(caller, op, bucket, body.encode())
        is_unknown = SHAPES[op.xml_in].strict and not pointer.startswith("<?")
        assert answer.status == (400 if is_unknown else plain.status), name
        canaries.check(answer)


@pytest.fixture(scope="module")
def touched():
    """What this process opened, imported or looked up while the list was not None."""
    seen = [None]

    def note(event, arguments):
        if seen[0] is not None and event.partition(".")[0] in ("open", "import", "socket", "os"):
            seen[0].append((event, arguments))

    sys.addaudithook(note)
    return seen


@pytest.mark.parametrize("op", WITH_XML, ids=lambda op: op.name)
def test_decoding_touches_no_file_and_no_name(touched, canaries, op):
    texts = [declared(op, name, canaries.named) for name in DECLARED]
    texts += [f'<?xml version="1.0" encoding="{name}"?>{document(op.xml_in)}' for name in ENCODINGS]
    touched[0] = []
    for text in texts:
        with contextlib.suppress(S3Error):
            xml.decode(op.xml_in, text.encode())
    seen, touched[0] = touched[0], None
    assert seen == []
