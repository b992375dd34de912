"""Tokenizers from files: a directory, a hub ID, tokenizer.json, tokenizer.model, or uploads of these.

All of these are foreign: they are read and run in a child process (`lib.sandbox.sandbox`). Only the tokenizer of the
embedded model, whose digest is known, runs in this process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lib.core.pieces import Pieces
from lib.core.request import Message
from lib.core.sources import EMBEDDED, TUNED
from lib.errors import CandorError, ModelUnavailable
from lib.models.hub import from_hub, is_hub_id, on_disk
from lib.sandbox.sandbox import Sandbox
from lib.segmentation.char_classes import encodable
from lib.tokenizers.build import ANY_OF, FILES, build
from lib.tokenizers.built import Built
from lib.tokenizers.chat_templates import render, writes_date
from lib.tokenizers.tokenizer import Tokenizer
from lib.tokenizers.vocabulary import Vocabulary

_REMEDY = "Use the model's own tokenizer.json or tokenizer.model."


def load_tokenizer(source: str | Path) -> Tokenizer:
    """Load the tokenizer of "embedded", a directory, a tokenizer.json, a tokenizer.model or a hub ID.

    Raises ModelUnavailable.
    """
    if source in (EMBEDDED.path, TUNED.path):  # they share one
        from lib.models import embedded

        return from_built(build(files_in(embedded.model_directory())), embedded.NAME)
    path, is_file, is_directory = on_disk(source)
    if is_directory:
        return foreign_tokenizer(files_in(path), path.resolve().name)
    if is_file:
        return _from_file(path)
    if is_hub_id(str(source)):
        return foreign_tokenizer(files_in(from_hub(str(source), list(FILES))), str(source))
    raise ModelUnavailable(
        f"There is no tokenizer at {str(source)!r}.",
        "Enter a directory, a tokenizer.json, a tokenizer.model, or a hub ID of the form owner/name.",
    )


def tokenizer_from_uploads(files: Mapping[str, bytes]) -> Tokenizer:
    """Load a tokenizer from uploaded files: tokenizer.json or tokenizer.model, and the files that belong to it.

    files: bytes by name. A lone .json or .model file may have any name. Raises ModelUnavailable.
    """
    known = {Path(name).name: data for name, data in files.items() if Path(name).name in FILES}
    if not any(name in known for name in ANY_OF):
        for name, data in files.items():
            if Path(name).suffix in (".json", ".model") and Path(name).name not in FILES:
                known.setdefault(f"tokenizer{Path(name).suffix}", data)
    if not any(name in known for name in ANY_OF):
        raise ModelUnavailable("There is no tokenizer among these files.", "Upload tokenizer.json or tokenizer.model.")
    for name, data in known.items():
        _check_size(name, len(data))
    return foreign_tokenizer(known, next(name for name in ANY_OF if name in known))


def files_in(directory: Path) -> dict[str, bytes]:
    """Read the tokenizer files in a directory, by name. Raises ModelUnavailable if one is too large."""
    found = {}
    for name in FILES:
        path = directory / name
        try:
            if path.is_file():
                _check_size(name, path.stat().st_size)
                found[name] = path.read_bytes()
        except OSError as error:
            raise ModelUnavailable(f"{path} can't be read: {error.strerror}.", "Check its permissions.") from error
    return found


def may_have_template(files: Mapping[str, bytes]) -> bool:
    """Whether there may be a chat template among tokenizer files. Reads none of them as JSON."""
    return any(name.startswith("chat_template") or b'"chat_template"' in data for name, data in files.items())


def foreign_tokenizer(files: Mapping[str, bytes], name: str) -> Tokenizer:
    """A tokenizer that is read and run in a child process. Raises ModelUnavailable.

    files: bytes by the names in `FILES`.
    """
    chat = may_have_template(files)
    sandbox = Sandbox(
        "chat-tokenizer" if chat else "tokenizer", {"files": dict(files)}, what=f"The tokenizer {name}", remedy=_REMEDY
    )
    described = sandbox.open()

    def encode(text: str) -> list[int]:
        ids = sandbox.call("encode", encodable(text))
        return [int(number) for number in np.frombuffer(ids, "<i4")]

    def rendered(messages: Sequence[Message]) -> str:
        return str(sandbox.call("render", turns_of(messages)))

    def rendered_on(messages: Sequence[Message], day: str) -> str:
        return str(sandbox.call("render_on", {"turns": turns_of(messages), "day": day}))

    return Tokenizer(
        name,
        _vocabulary(described, name),
        encode,
        tuple(map(int, described["prefix"])),
        None if described["bos"] is None else int(described["bos"]),
        rendered if chat and described["has_template"] else None,
        rendered_on if chat and described["writes_date"] else None,
        None if described["context"] is None else int(described["context"]),
    )


def from_built(built: Built, name: str) -> Tokenizer:
    """A tokenizer that runs in this process."""
    rendered = rendered_on = None
    if (template := built.template) is not None:

        def rendered(messages: Sequence[Message]) -> str:
            return render(template, turns_of(messages))

        if writes_date(template):

            def rendered_on(messages: Sequence[Message], day: str) -> str:
                return render(template, turns_of(messages), day)

    return Tokenizer(
        name, built.vocabulary, built.encode, built.prefix, built.bos, rendered, rendered_on, built.context
    )


def turns_of(messages: Sequence[Message]) -> list[dict[str, str]]:
    """The messages in the form that chat templates expect."""
    return [{"role": each.role, "content": encodable(each.content)} for each in messages]


def _from_file(path: Path) -> Tokenizer:
    kind = "tokenizer.json" if path.suffix == ".json" else "tokenizer.model"
    _check_size(path.name, path.stat().st_size, kind)
    named = path.name == kind
    beside = files_in(path.parent) if named else {}
    main = {kind: path.read_bytes()}
    others = {name: data for name, data in beside.items() if name not in ANY_OF}
    return foreign_tokenizer(main | others, path.resolve().parent.name if named else path.stem)


def _check_size(name: str, size: int, kind: str = "") -> None:
    if size > (most := FILES[kind or name]):
        raise ModelUnavailable(
            f"{name} has {size:,} bytes, which is too large for a tokenizer: at most {most:,} are read.", _REMEDY
        )


def _vocabulary(described: Mapping[str, Any], name: str) -> Vocabulary:
    try:
        offsets = np.frombuffer(described["offsets"], "<i4")
        pieces = Pieces(
            np.arange(len(offsets) - 1, dtype=np.int32),
            offsets,
            np.frombuffer(described["data"], np.uint8),
            np.frombuffer(described["special"], np.bool_),
        )
    except ValueError as error:
        raise _unreadable(name) from error
    garbled = tuple((int(number), bytes(written)) for number, written in described["garbled"])
    return Vocabulary(pieces, bool(described["exact"]), bool(described["drops_space"]), garbled)


def _unreadable(name: str) -> CandorError:
    return ModelUnavailable(f"{name} cannot be read as a tokenizer.", _REMEDY)
