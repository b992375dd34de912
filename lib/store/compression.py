"""Completions as compressed bytes: their packed form, deflated."""

from __future__ import annotations

import zlib

from lib.core.completion import Completion
from lib.core.serialization import pack_completion, unpack_completion
from lib.errors import BadFile
from lib.store.transposed import is_transposed, transposed_completion

_LEVEL = 5  # of zlib: 31.9 bytes per token with five alternatives each; level 1 needs 32.7, level 6 a quarter more time
MAX_INFLATED = 1 << 30  # bytes of one completion


def compress_completion(completion: Completion) -> bytes:
    """A completion as bytes; `decompress_completion` returns an identical one."""
    return zlib.compress(pack_completion(completion), _LEVEL)


def decompress_completion(blob: bytes) -> Completion:
    """The completion in these bytes. Raises BadFile if they hold none."""
    inflated = _inflated(blob)
    return transposed_completion(inflated) if is_transposed(inflated) else unpack_completion(inflated)


def _inflated(blob: bytes) -> bytes:
    engine = zlib.decompressobj()
    try:
        inflated = engine.decompress(blob, MAX_INFLATED)
    except zlib.error as error:
        raise BadFile("The saved answer is damaged.", "Run it again.") from error
    if not engine.eof:
        raise BadFile("The saved answer is truncated or too large.", "Run it again.")
    return inflated
