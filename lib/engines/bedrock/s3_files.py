"""Fetch a model's tokenizer from the S3 folder it was imported from.

Only the files of a tokenizer and its chat template are read, each by name: no listing is needed, and no weights are
fetched. Files are cached, and downloaded again only if their ETag has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lib.engines.bedrock.errors import in_words
from lib.engines.bedrock.permissions import objects_of
from lib.errors import ModelUnavailable
from lib.paths import cache_directory, writing_cache
from lib.tokenizers.build import ANY_OF, FILES

_TAGS = "etags.json"
_DENIED = ("AccessDenied", "403")
_ABSENT = ("NoSuchKey", "404", "NotFound")
_UNCHANGED = ("304", "NotModified")


@dataclass(frozen=True)
class _Folder:
    """A folder of S3, and where its files are cached."""

    bucket: str
    prefix: str  # without slashes at either end; "" for the whole bucket
    arn: str  # of all its objects, as IAM policies name them

    @property
    def directory(self) -> Path:
        """The cache directory."""
        digest = hashlib.sha256(f"{self.bucket}/{self.prefix}".encode()).hexdigest()
        return cache_directory() / "s3" / digest[:24]

    def key_of(self, name: str) -> str:
        """The key of a file."""
        return f"{self.prefix}/{name}".lstrip("/")


def fetch(client: Any, uri: str) -> Path:
    """Fetch the tokenizer's files under an S3 URI into a cached directory, and return it. client: boto3's, of S3.

    Raises ModelUnavailable if there is no tokenizer or a file is too large, ServiceError if S3 refuses.
    """
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise ModelUnavailable(f"{uri!r} is not an S3 URI.", "Choose the tokenizer as a path beside the model.")
    folder = _Folder(parts.netloc, parts.path.strip("/"), objects_of(uri, client.meta.partition))
    with writing_cache(folder.directory):
        pass
    known, tags = _read_tags(folder.directory), {}
    denied: Exception | None = None
    for name in FILES:
        try:
            tag = _fetch_file(client, folder, name, known.get(name))
        except client.exceptions.ClientError as error:
            if str(error.response["Error"].get("Code")) not in _DENIED:
                raise in_words(error, folder.arn) from error
            denied, tag = error, None  # without s3:ListBucket, S3 denies access to files that don't exist
        except ModelUnavailable:
            raise
        except Exception as error:
            raise in_words(error, folder.arn) from error
        if tag is None:
            (folder.directory / name).unlink(missing_ok=True)
        else:
            tags[name] = tag
    _write(folder.directory / _TAGS, json.dumps(tags).encode())
    if not any(name in tags for name in ANY_OF):
        if denied is not None:
            raise in_words(denied, folder.arn) from denied
        raise ModelUnavailable(f"There is no tokenizer under {uri}.", "Choose a path or a hub id beside the model.")
    return folder.directory


def _fetch_file(client: Any, folder: _Folder, name: str, tag: str | None) -> str | None:
    """Download a file unless its ETag is still `tag`. Returns its ETag, None if there is no such object."""
    target, largest = folder.directory / name, FILES[name]
    condition = {"IfNoneMatch": tag} if tag is not None and target.exists() else {}
    try:
        answer = client.get_object(Bucket=folder.bucket, Key=folder.key_of(name), **condition)
    except client.exceptions.ClientError as error:
        code = str(error.response["Error"].get("Code"))
        if condition and code in _UNCHANGED:
            return tag
        if code in _ABSENT:
            return None
        raise
    with answer["Body"] as body:
        data = body.read(largest + 1)
        if len(data) > largest:
            raise ModelUnavailable(
                f"{name} has {answer['ContentLength']:,} bytes, which is too large for a tokenizer.",
                "Choose the tokenizer as a path beside the model.",
            )
        _write(target, data)
    return str(answer["ETag"])


def _write(target: Path, data: bytes) -> None:
    """Write a file atomically, even if other processes write it at the same time."""
    with writing_cache(target.parent):
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(target)


def _read_tags(directory: Path) -> dict[str, str]:
    """ETags by file name; empty if they cannot be read."""
    try:
        found = json.loads((directory / _TAGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: tag for name, tag in found.items() if name in FILES} if isinstance(found, dict) else {}
