"""A model's files on this machine or on the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lib.errors import ModelUnavailable

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def on_disk(source: str | Path) -> tuple[Path, bool, bool]:
    """(path, is a file, is a directory); neither if it is not a path or can't be accessed."""
    try:
        path = Path(source).expanduser()
        return path, path.is_file(), path.is_dir()
    except (OSError, RuntimeError, ValueError):  # too long, no such user, or a NUL
        return Path(source), False, False


def is_hub_id(source: str) -> bool:
    """Whether a source has the form owner/name and is not written as a path."""
    return not source.startswith(("/", ".", "~")) and bool(_HUB_ID.fullmatch(source))


def from_hub(source: str, files: Sequence[str], *, without: Sequence[str] = ()) -> Path:
    """The directory with the files of a hub ID, downloaded if needed. Raises ModelUnavailable.

    files: patterns of the names to download. without: patterns of names to leave out.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(source, allow_patterns=list(files), ignore_patterns=list(without)))
    except HFValidationError as error:
        raise ModelUnavailable(
            f"There is no model at {source!r}: hub IDs don't look like that.", "Enter a hub ID of the form owner/name."
        ) from error
    except HfHubHTTPError as error:
        raise ModelUnavailable(
            f"The hub refused {source!r}: {str(error).splitlines()[0]}",
            "Check the spelling; for a private or gated model, log in with `hf auth login`.",
        ) from error
    except Exception as error:  # its network errors share no base class
        raise ModelUnavailable(
            f"{source!r} is not on this machine, and the hub can't be reached.",
            "Check the network, or download it elsewhere and enter its path.",
        ) from error
