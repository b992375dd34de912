"""What a model's directory tells before the model is loaded, without importing torch."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from pathlib import Path

NO_TEMPLATE = "This model has no chat template, so it can't take chats."

_CONFIG, _MOST = "tokenizer_config.json", 20_000_000  # bytes of the file
_TEMPLATES = ("chat_template.jinja", "chat_template.json")


def lacks_chat_template(directory: Path) -> bool:
    """Whether this is a model's directory without a chat template. False if that is not known."""
    with suppress(OSError, ValueError):
        if (directory / "config.json").is_file():
            config = directory / _CONFIG
            written = config.stat().st_mtime_ns if config.is_file() else 0
            return not any((directory / name).is_file() for name in _TEMPLATES) and not _names_one(config, written)
    return False


@lru_cache(64)
def _names_one(config: Path, written: int) -> bool:
    """Whether the tokenizer's configuration has a template, or may have. written: in ns, 0 if there is no file."""
    if not written:
        return False
    with config.open("rb") as file:
        data = file.read(_MOST)
    return b'"chat_template"' in data or len(data) == _MOST
