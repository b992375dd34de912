"""The tokenizer's files from where a model was imported from.

Only files of a tokenizer and its chat template are read, each by its name: no listing is needed, and no weights are
fetched. What has been read is kept, and asked for again only if its ETag has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lib.engines.bedrock.errors import in_words
from lib.engines.bedrock.permissions import objects_of
from lib.errors import ModelUnavailable
from lib.paths import cache_directory, writing_cache
from lib.tokenizers.build import ANY_OF, FILES

_TAGS = "etags.json"
_ABSENT = ("NoSuchKey", "404", "NotFound")
_UNCHANGED = ("304", "NotModified")


def fetch(client: Any, uri: str) -> Path:
    """The directory with the tokenizer's files under an S3 URI, read where they have changed. client: of S3.

    Raises ModelUnavailable where there is no tokenizer or a file is too large, ServiceError where S3 refuses.
    """
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise ModelUnavailable(f"{uri!r} is no S3 URI.", "Give the tokenizer as a path beside the model.")
    prefix = parts.path.strip("/")
    wanted = objects_of(uri, client.meta.partition)
    place = cache_directory() / "s3" / hashlib.sha256(f"{parts.netloc}/{prefix}".encode()).hexdigest()[:24]
    with writing_cache(place):
        pass
    known, tags = _tags(place), {}
    refused: Exception | None = None
    for name, most in FILES.items():
        try:
            tag = _fetch(client, parts.netloc, f"{prefix}/{name}".lstrip("/"), place / name, known.get(name), most)
        except client.exceptions.ClientError as error:
            if str(error.response["Error"].get("Code")) not in ("AccessDenied", "403"):
                raise in_words(error, wanted) from error
            refused, tag = error, None  # without s3:ListBucket, S3 refuses what is not there
        except ModelUnavailable:
            raise
        except Exception as error:
            raise in_words(error, wanted) from error
        if tag is None:
            (place / name).unlink(missing_ok=True)
        else:
            tags[name] = tag
    _write(place / _TAGS, json.dumps(tags).encode())
    if not any(name in tags for name in ANY_OF):
        if refused is not None:
            raise in_words(refused, wanted) from refused
        raise ModelUnavailable(f"There is no tokenizer under {uri}.", "Give it as a path or a hub id beside the model.")
    return place


def _fetch(client: Any, bucket: str, key: str, target: Path, tag: str | None, most: int) -> str | None:
    """The object's ETag, its bytes in `target`; None where there is no such object."""
    condition = {"IfNoneMatch": tag} if tag is not None and target.exists() else {}
    try:
        answer = client.get_object(Bucket=bucket, Key=key, **condition)
    except client.exceptions.ClientError as error:
        code = str(error.response["Error"].get("Code"))
        if condition and code in _UNCHANGED:
            return tag
        if code in _ABSENT:
            return None
        raise
    with answer["Body"] as body:
        data = body.read(most + 1)
        if len(data) > most:
            raise ModelUnavailable(
                f"{target.name} has {answer['ContentLength']:,} bytes, which is too large for a tokenizer.",
                "Give the tokenizer as a path beside the model.",
            )
        _write(target, data)
    return str(answer["ETag"])


def _write(target: Path, data: bytes) -> None:
    """All or nothing, whatever other processes write at the same time."""
    with writing_cache(target.parent):
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(target)


def _tags(place: Path) -> dict[str, str]:
    try:
        found = json.loads((place / _TAGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: tag for name, tag in found.items() if name in FILES} if isinstance(found, dict) else {}
