"""Builds a tokenizer from the bytes of its files alone: opens no path, and loads no class that a file names.

IDs are checked first, as the libraries allocate memory by the largest one. For foreign files, this runs in the child
process of `lib.sandbox.sandbox`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lib.errors import ModelUnavailable
from lib.tokenizers.built import Built, Template, json_object, token_text
from lib.tokenizers.hugging_face import from_json, joined
from lib.tokenizers.sentencepiece_file import from_sentencepiece
from lib.tokenizers.tiktoken_file import TIKTOKEN_LINE, from_tiktoken

# Largest size of each file in bytes; the largest known tokenizer.json has about 35 MB. Other files are not read.
FILES = {
    "tokenizer.json": 100_000_000,
    "tokenizer.model": 20_000_000,
    "tokenizer_config.json": 10_000_000,
    "special_tokens_map.json": 1_000_000,
    "added_tokens.json": 5_000_000,
    "vocab.json": 20_000_000,
    "merges.txt": 20_000_000,
    "chat_template.jinja": 1_000_000,
    "chat_template.json": 1_000_000,
}

_LONGEST_CONTEXT = 100_000_000  # tokens; transformers writes about 1e30 for a context that it does not know
ANY_OF = ("tokenizer.json", "tokenizer.model", "vocab.json")


def build(files: Mapping[str, bytes]) -> Built:
    """Build the tokenizer from its files: bytes by the names in `FILES`. Raises ModelUnavailable."""
    config = json_object(files.get("tokenizer_config.json"))
    return replace(_built(files, config), context=_context(config))


def _built(files: Mapping[str, bytes], config: Mapping[str, Any]) -> Built:
    names = _special_names(files, config)
    if "tokenizer.json" in files:
        return from_json(files["tokenizer.json"], names, _template(files, config, names))
    if "vocab.json" in files and "merges.txt" in files:
        return from_json(joined(files, config), names, _template(files, config, names))
    data = files.get("tokenizer.model")
    if data is None:
        raise ModelUnavailable("There is no tokenizer among these files.", "Use tokenizer.json or tokenizer.model.")
    template = _template(files, config, names)
    if TIKTOKEN_LINE.match(data):
        return from_tiktoken(data, config, template)
    return from_sentencepiece(data, files, template)


def _context(config: Mapping[str, Any]) -> int | None:
    """The context that a configuration states; a huge number in its place means that it is not known."""
    stated: Any = config.get("model_max_length")
    is_whole = isinstance(stated, int) and not isinstance(stated, bool)
    return int(stated) if is_whole and 1 <= stated <= _LONGEST_CONTEXT else None


def _special_names(files: Mapping[str, bytes], config: Mapping[str, Any]) -> dict[str, str]:
    """Special tokens by their variables in templates: bos_token, eos_token and the like."""
    listed = {**json_object(files.get("special_tokens_map.json")), **config}
    return {
        key: name
        for key, entry in listed.items()
        if key.endswith("_token") and len(key) < 40 and (name := token_text(entry)) is not None
    }


def _template(files: Mapping[str, bytes], config: Mapping[str, Any], names: Mapping[str, str]) -> Template | None:
    """The chat template: from its own file, which takes precedence, or from the configuration."""
    found: Any = config.get("chat_template")
    if own := files.get("chat_template.jinja"):
        found = own.decode("utf-8", "replace")
    elif own := files.get("chat_template.json"):
        found = json_object(own).get("chat_template")
    if isinstance(found, list):  # several, by name
        by_name = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}
        found = by_name.get("default")
    return Template(found, dict(names)) if isinstance(found, str) else None
