"""What a model's directory tells before the model is loaded, without importing torch."""

from __future__ import annotations

from contextlib import suppress

from lib.models.hub import on_disk
from lib.models.tokenizer_files import may_have_template

NO_TEMPLATE = "This model has no chat template, so it can't take chats."

_FILES = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json")  # where a template may be
_MOST = 20_000_000  # bytes of each that are looked at


def lacks_chat_template(source: str) -> bool:
    """Whether this is a model's directory without a chat template. False if that is not known."""
    directory, _, is_directory = on_disk(source)
    with suppress(OSError):
        if is_directory and (directory / "config.json").is_file():
            paths = [directory / name for name in _FILES if (directory / name).is_file()]
            if all(path.stat().st_size <= _MOST for path in paths):
                return not may_have_template({path.name: path.read_bytes() for path in paths})
    return False
