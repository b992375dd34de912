"""Passages in the JSON of retrievers, in the shapes that libraries and services return."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib.errors import BadFile

# Where lists of passages are found, in the order they are looked for. Names with a dot are nested.
_LISTS = (
    "retrievalResults",  # Knowledge Bases for Amazon Bedrock, Retrieve
    "hits.hits",  # OpenSearch and Elasticsearch
    "source_nodes",  # LlamaIndex
    "source_documents",  # LangChain
    "results",
    "passages",
    "documents",
    "contexts",
    "context",
    "matches",  # Pinecone
    "chunks",
    "nodes",
    "docs",
    "data",
    "items",
    "hits",
)
_INSIDE = ("kwargs", "node", "_source", "document", "fields", "payload")  # objects that hold the text of an item
_TEXTS = ("text", "page_content", "content", "passage", "body", "chunk", "chunk_text", "document", "context")
_IDS = ("id", "_id", "id_", "node_id", "doc_id", "docid", "passage_id", "chunk_id", "document_id")
_SCORES = ("score", "_score", "similarity", "relevance_score", "relevance", "@search.score")
_PLACES = ("id", "_id", "source", "uri", "url", "file_name", "title")  # in an item's metadata or location
_DEEPEST = 4  # objects inside objects


@dataclass(frozen=True)
class Found:
    """A passage as it was found."""

    text: str
    id: str = ""  # "" for none
    score: float | None = None  # None for none


def json_in(text: str) -> Any:
    """The value of JSON, or the list of values of JSON Lines; None if it is neither."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    values = []
    for line in text.split("\n"):
        if not line.strip():
            continue
        try:
            values.append(json.loads(line))
        except (ValueError, RecursionError):
            return None
    return values or None


def found_in(value: Any) -> list[Found]:
    """The passages in a retriever's JSON. Raises BadFile if it has none that can be recognized."""
    items = _items(value)
    if items is None:
        raise BadFile(
            "The JSON has no list of passages.",
            'Give a list of objects, such as [{"id": "1", "text": "…", "score": 0.8}].',
        )
    found = []
    for number, item in enumerate(items, 1):
        one = _found(item)
        if one is None:
            raise BadFile(
                f"Item {number} of the JSON has no text.",
                "Each item needs a text, in a field such as “text”, “content” or “page_content”.",
            )
        found.append(one)
    return found


def _items(value: Any) -> Sequence[Any] | None:
    if isinstance(value, list):
        if len(value) == 1 and isinstance(value[0], dict) and _text_of(value[0]) is None:
            return _items(value[0]) or value  # a response on one line of JSON Lines
        return value
    if not isinstance(value, dict):
        return None
    for name in _LISTS:
        inside: Any = value
        for part in name.split("."):
            inside = inside.get(part) if isinstance(inside, dict) else None
        if isinstance(inside, list):
            return inside
    return [value] if _text_of(value) is not None else None


def _found(item: Any) -> Found | None:
    if isinstance(item, str):
        return Found(item)
    if isinstance(item, list) and len(item) == 2 and isinstance(item[0], dict | str):  # LangChain's (document, score)
        one = _found(item[0])
        return None if one is None else Found(one.text, one.id, _number(item[1]))
    if not isinstance(item, dict):
        return None
    text = _text_of(item)
    if text is None:
        return None
    return Found(
        text, _id_of(item), next((each for each in map(_number, _values(item, _SCORES)) if each is not None), None)
    )


def _text_of(item: Mapping[str, Any], depth: int = 0) -> str | None:
    for name in _TEXTS:
        value = item.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list) and value and all(isinstance(each, str) for each in value):  # a field's values
            return "\n".join(value)
        if isinstance(value, dict) and isinstance(value.get("text"), str):  # Bedrock: {"content": {"text": …}}
            return str(value["text"])
    for name in (*_INSIDE, "metadata"):
        value = item.get(name)
        if isinstance(value, dict) and depth < _DEEPEST and (text := _text_of(value, depth + 1)) is not None:
            return text
    return None


def _id_of(item: Mapping[str, Any]) -> str:
    for value in _values(item, _IDS):
        if isinstance(value, str | int) and not isinstance(value, bool) and (text := _short(value)):
            return text
    for about in _values(item, ("metadata", "location")):
        for inside in (about, *about.values()) if isinstance(about, dict) else ():
            for name in _PLACES if isinstance(inside, dict) else ():
                if isinstance(inside.get(name), str) and inside[name].strip():
                    return str(inside[name])
    return ""


def _values(item: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    """The values of these names, in an item or the objects that hold its text."""
    found, level = [], [item]
    for _ in range(_DEEPEST):
        found += [each[name] for each in level for name in names if each.get(name) is not None]
        level = [each[name] for each in level for name in _INSIDE if isinstance(each.get(name), dict)]
    return found


def _short(value: str | int) -> str:
    """A number of thousands of digits cannot be printed."""
    return value if isinstance(value, str) else str(value) if abs(value) < 10**18 else ""


def _number(value: Any) -> float | None:
    """A score; numbers in CSV files are text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
