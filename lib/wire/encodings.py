"""The bytes of a saved file as UTF-8 text."""

from __future__ import annotations

import codecs
import json
import zlib

from lib.errors import BadReply
from lib.unicode import encodable
from lib.wire.replies import MAX_BYTES, check_size

_GZIP = b"\x1f\x8b"


def as_utf8(data: bytes) -> bytes:
    """Text in UTF-8, UTF-16 or UTF-32, gzipped or not, as UTF-8 without a byte order mark.

    Lone surrogates become U+FFFD. Bytes that look like UTF-8 are not checked. Raises BadReply.
    """
    check_size(len(data))
    if data.startswith(_GZIP):
        data = _unzipped(data)
    encoding = json.detect_encoding(data)
    if encoding.startswith("utf-8"):
        return data.removeprefix(codecs.BOM_UTF8)
    try:
        return encodable(data.decode(encoding, "surrogatepass")).encode()
    except UnicodeDecodeError as error:
        if _is_utf8(data):
            return data
        raise BadReply(
            f"The file looks like {encoding.upper()}, but is damaged at byte {error.start:,}.",
            "Save it again as UTF-8.",
        ) from error


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _unzipped(data: bytes) -> bytes:
    """The content of a gzip file; log records in S3 are kept that way."""
    reader = zlib.decompressobj(wbits=31)
    try:
        content = reader.decompress(data, MAX_BYTES + 1)
    except zlib.error as error:
        raise BadReply("The gzip file is damaged.", "Download it again, or unpack it first.") from error
    check_size(len(content))
    if not reader.eof:
        raise BadReply("The gzip file is cut off.", "Download it again.")
    return content
