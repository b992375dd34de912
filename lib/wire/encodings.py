"""Convert the bytes of a saved file to UTF-8 text."""

from __future__ import annotations

import codecs
import json
import zlib

from lib.errors import BadResponse
from lib.segmentation.char_classes import encodable
from lib.wire.json_fields import MAX_BYTES, check_size

_GZIP = b"\x1f\x8b"
# (first bytes, kind) of files that aren't text: archives, which may hold a response, and others, which don't.
_ARCHIVES = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"BZh", "a bzip2 file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
)
_BINARIES = (
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"Obj\x01", "an Avro file"),
    (b"ORC", "an ORC file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"GGUF", "a GGUF model"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF-", "a PDF file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
)


def unpacked(data: bytes) -> bytes:
    """Decompress a gzip file with all of its members; other data is returned unchanged.

    Raises BadResponse, also for archives and for files that aren't text.
    """
    check_size(len(data))
    if data.startswith(_GZIP):
        data = _unzipped(data)
    for start, kind in _ARCHIVES:
        if data.startswith(start):
            raise BadResponse(f"This is {kind}.", "Unpack it, and open the file inside.")
    if data[257:262] == b"ustar":
        raise BadResponse("This is a tar archive.", "Unpack it, and open the file inside.")
    for start, kind in _BINARIES:
        if data.startswith(start) and (data[0] >= 0x80 or b"\x00" in data[:1000]):
            raise BadResponse(f"This is {kind}, not a response.", "Open the response as JSON.")
    return data


def as_utf8(data: bytes) -> bytes:
    """Convert text in UTF-8, UTF-16 or UTF-32 to UTF-8 without a byte order mark.

    Lone surrogates become U+FFFD. Bytes that look like UTF-8 are not checked. Raises BadResponse.
    """
    encoding = json.detect_encoding(data)
    if encoding.startswith("utf-8"):
        return data.removeprefix(codecs.BOM_UTF8)
    try:
        return encodable(data.decode(encoding, "surrogatepass")).encode()
    except UnicodeDecodeError as error:
        if is_utf8(data):
            return data
        raise BadResponse(
            f"The file looks like {encoding.upper()}, but is damaged at byte {error.start:,}.",
            "Save it again as UTF-8.",
        ) from error


def is_utf8(data: bytes) -> bool:
    """Whether the data is valid UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _unzipped(data: bytes) -> bytes:
    """Decompress a gzip file. Logs in S3 have many members, one after another."""
    content: list[bytes] = []
    size, rest = 0, memoryview(data)
    while bytes(rest[:2]) == _GZIP:
        reader = zlib.decompressobj(wbits=31)
        try:
            content.append(reader.decompress(rest, MAX_BYTES + 1 - size))
        except zlib.error as error:
            raise BadResponse("The gzip file is damaged.", "Download it again, or unpack it first.") from error
        size += len(content[-1])
        check_size(size)
        if not reader.eof:
            raise BadResponse("The gzip file is cut off.", "Download it again.")
        rest = rest[len(rest) - len(reader.unused_data) :]
    if bytes(rest).strip(b"\x00"):
        raise BadResponse("Other bytes follow the end of the gzip file.", "Download it again, or unpack it first.")
    return b"".join(content)
