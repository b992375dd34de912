"""The tokenizer files of the served models as S3 objects, so that clients find them where GetImportedModel says.

GetObject, HeadObject and ListObjectsV2, with the bucket in the path. Weights are not served.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from lib.engines.local.engine import LocalEngine
from lib.serve.models import ImportedModel
from lib.tokenizers.build import FILES

MAX_KEYS = 1000  # of one ListObjectsV2 response, as at S3
SERVES_S3 = {"X-Candor-Serves": "s3"}  # a header of GetImportedModel: the files are at this address
_SIGNED_FOR_S3 = re.compile(r"AWS4-HMAC-SHA256 Credential=[^,\s]{1,300}/s3/aws4_request,")
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass(frozen=True)
class S3Object:
    """A tokenizer file under its key."""

    key: str
    path: Path
    status: os.stat_result

    @property
    def etag(self) -> str:
        """A quoted digest that changes whenever the file does."""
        state = f"{self.path.resolve()} {self.status.st_mtime_ns} {self.status.st_size}"
        return f'"{hashlib.md5(state.encode(), usedforsecurity=False).hexdigest()}"'


def is_s3_call(authorization: str) -> bool:
    """Whether a request is signed for S3. Buckets may have any name, so the path alone can't tell."""
    return _SIGNED_FOR_S3.match(authorization) is not None


async def respond(
    request: Request, models: Sequence[ImportedModel], engines: Mapping[str, LocalEngine], ids: Mapping[str, str]
) -> Response:
    """The response to a call of S3. ids: headers that name the request."""
    bucket, _, key = request.scope["path"].lstrip("/").partition("/")
    objects = await asyncio.to_thread(lambda: list(_objects(bucket, models, engines)))
    if request.method not in ("GET", "HEAD"):
        return refusal(request, 405, "MethodNotAllowed", "This local Bedrock's S3 is read-only.", ids)
    if not objects:
        return refusal(request, 404, "NoSuchBucket", "The specified bucket does not exist.", ids)
    if not key:
        if request.method == "HEAD":
            return Response(headers=ids)  # HeadBucket
        return _listing(request, bucket, objects, ids)
    found = next((each for each in objects if each.key == key), None)
    if found is None:
        return refusal(request, 404, "NoSuchKey", "The specified key does not exist.", ids)
    headers = {**ids, "ETag": found.etag}
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    return FileResponse(found.path, headers=headers, media_type="binary/octet-stream", stat_result=found.status)


def refusal(request: Request, status: int, code: str, message: str, ids: Mapping[str, str]) -> Response:
    """An error in S3's XML; HEAD has no body."""
    body = f"{_HEAD}<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return Response("" if request.method == "HEAD" else body, status, dict(ids), "application/xml")


def _objects(bucket: str, models: Sequence[ImportedModel], engines: Mapping[str, LocalEngine]) -> Iterator[S3Object]:
    """The tokenizer files in a bucket. A file too large for a tokenizer is left out: Candor would refuse it."""
    for model in models:
        uri = urlsplit(model.s3_uri)
        if uri.scheme != "s3" or uri.netloc != bucket:
            continue
        directory = engines[model.source].loaded.tokenizer_directory
        for name, largest in FILES.items():
            path = directory / name
            if path.is_file() and (status := path.stat()).st_size <= largest:
                yield S3Object(f"{uri.path.strip('/')}/{name}", path, status)


def _listing(request: Request, bucket: str, objects: Sequence[S3Object], ids: Mapping[str, str]) -> Response:
    """ListObjectsV2. The continuation token is the last key of the page before."""
    query = request.query_params
    prefix, after = query.get("prefix", ""), query.get("continuation-token") or query.get("start-after", "")
    wanted = query.get("max-keys", str(MAX_KEYS))
    if query.get("list-type") != "2" or not (wanted.isascii() and wanted.isdigit() and len(wanted) < 6):
        return refusal(request, 400, "InvalidArgument", "Only ListObjectsV2 is supported.", ids)
    matching = sorted((each for each in objects if each.key.startswith(prefix) and each.key > after), key=_key)
    page = matching[: min(int(wanted), MAX_KEYS)]
    truncated = 0 < len(page) < len(matching)
    token = f"<NextContinuationToken>{escape(page[-1].key)}</NextContinuationToken>" if truncated else ""
    body = (
        f'{_HEAD}<ListBucketResult xmlns="{_NAMESPACE}"><Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix>'
        f"<KeyCount>{len(page)}</KeyCount><MaxKeys>{wanted}</MaxKeys><IsTruncated>{str(truncated).lower()}</IsTruncated>"
        f"{token}{''.join(map(_entry, page))}</ListBucketResult>"
    )
    return Response(body, headers=dict(ids), media_type="application/xml")


def _key(found: S3Object) -> str:
    return found.key


def _entry(found: S3Object) -> str:
    modified = datetime.fromtimestamp(found.status.st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return (
        f"<Contents><Key>{escape(found.key)}</Key><LastModified>{modified}</LastModified>"
        f"<ETag>{escape(found.etag)}</ETag><Size>{found.status.st_size}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )
