"""Mutated files from elsewhere: each is read, or refused in words; none reads a secret or ends the process.

python -m tests.soak.foreign [count of each kind] [kind] [seed]
"""

from __future__ import annotations

import io
import json
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import psutil

from lib.access.visitor import Visitor
from lib.core.request import Message
from lib.errors import CandorError
from lib.models.tokenizer_files import foreign_tokenizer
from lib.sandbox.sandbox import Sandbox
from tests.soak.wire import changed, spoilt
from tests.support import tiny

SECRET = "AKIA-what-only-the-operator-may-know"
_MEMORY = 300_000_000  # bytes that this process may grow by
_SECONDS = 90.0  # for one file, on a busy machine
_TEXTS = ("", "a", "Hello  world\n", "12345 é 漢字 😀", "<s>[INST] x [/INST]</s>", "\ud800", "a" * 5_000)
_PARTS = (
    "{{ ", " }}", "{% for m in messages %}", "{% endfor %}", "{% if x %}", "{% endif %}", "{% set x = ", " %}",
    "'a' * 999999999", "range(99999999)", "m.content", "m['role']", "messages[0]", "bos_token", "{% include '",
    "''.__class__.__mro__", "cycler.__init__.__globals__", "namespace(a=1)", "{% macro f() %}{{ f() }}{% endmacro %}",
    "{{ f() }}", "|tojson", "|join", "|format", "|replace('a', 'a' * 9999)", "raise_exception('x')", "\0", "\ud800",
    "strftime_now('%Y')", "(((((((((", "~ 'x'", "|sort", "|batch(99999999)", "{% generation %}", "loop.index", "| e",
)  # fmt: skip


def hostile(value: Any, dice: random.Random, secret: str) -> Any:
    """The value with one thing in it changed to something that a library may stumble over."""
    values: list[Any] = [
        secret, "/dev/zero", "/proc/self/environ", 2**31 - 1, 2**32 - 2, 2**63, -1, 1e308, [["a", "b"]] * 3,
        {"a": 2**31}, {"type": "Sequence", "pretokenizers": []}, "(a+)+$", "\\p{L}" * 50, {"Regex": "(a|a)*b"}, "Ġ" * 9,
    ]  # fmt: skip
    made = changed(value, dice)
    if dice.random() < 0.5 and isinstance(made, dict) and made:
        at = dice.choice(list(made))
        inner = made[at]
        made = {**made, at: hostile(inner, dice, secret) if isinstance(inner, dict) else dice.choice(values)}
    return made


@cache
def _specs() -> list[dict[str, Any]]:
    """A tokenizer.json of each model type."""
    words = {"[UNK]": 0, "a": 1, "b": 2, "ab": 3, "##b": 4, " ": 5}
    own = json.loads(tiny.make_tokenizer(chat=tiny.CHAT, merges=[(b"a", b"b")]).backend_tokenizer.to_str())
    models: list[dict[str, Any]] = [
        {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"},
        {"type": "WordPiece", "vocab": words, "unk_token": "[UNK]", "continuing_subword_prefix": "##"},
        {"type": "BPE", "vocab": words, "merges": [["a", "b"]], "unk_token": "[UNK]", "byte_fallback": True},
        {"type": "Unigram", "vocab": [["<unk>", 0.0], ["a", -1.0], ["b", -2.0]], "unk_id": 0},
    ]
    return [own, *({**own, "added_tokens": [], "post_processor": None, "model": model} for model in models)]


@cache
def _sentencepiece() -> bytes:
    import sentencepiece

    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the quick brown fox jumps over the lazy dog"] * 20), model_writer=out, vocab_size=60,
        model_type="unigram", byte_fallback=False, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    return out.getvalue()


def tokenizer(dice: random.Random, secret: str, _folder: Path) -> None:
    """A tokenizer.json with its configuration, or a SentencePiece model."""
    files: dict[str, bytes] = {}
    if dice.random() < 0.75:
        spec: Any = dice.choice(_specs())
        for _ in range(dice.randint(1, 3)):
            spec = hostile(spec, dice, secret)
        data = json.dumps(spec).encode("utf-8", "surrogatepass")
        files["tokenizer.json"] = data if dice.random() < 0.8 else spoilt(data, dice)
    else:
        files["tokenizer.model"] = spoilt(_sentencepiece(), dice)
    if dice.random() < 0.5:
        config: Any = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "chat_template": tiny.CHAT}
        config |= {"added_tokens_decoder": {"7": {"content": "<x>", "special": True}}, "vocab_file": secret}
        files["tokenizer_config.json"] = json.dumps(hostile(config, dice, secret)).encode("utf-8", "surrogatepass")
    made = foreign_tokenizer(files, "tokenizer.json")
    for text in _TEXTS:
        ids = made.encode(text)
        assert all(0 <= number < 2**31 for number in ids), "an id that is none"
        _keeps_secrets(made.vocabulary.decode([number for number in ids if number < len(made.vocabulary)]))
    _keeps_secrets("".join(made.names))
    if made.render is not None:
        _keeps_secrets(made.render((Message("user", "hi"),)))


def template(dice: random.Random, secret: str, _folder: Path) -> None:
    """A chat template put together from what templates are made of."""
    if dice.random() < 0.3:
        source = spoilt(tiny.CHAT.encode(), dice).decode("utf-8", "replace")
    else:
        source = "".join(dice.choice(_PARTS) for _ in range(dice.randint(1, 12)))
        source = source.replace("include '", f"include '{secret}")
    sandbox = Sandbox("template", {"source": source, "names": {"bos_token": "<s>"}}, what="The template", remedy="Ask.")
    try:
        text = sandbox.call("render", [{"role": "user", "content": "hi"}], seconds=2.0)
        assert isinstance(text, str)
        text.encode()
        _keeps_secrets(text)
    finally:
        sandbox.close()


@cache
def _gguf() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return tiny.make_gguf(Path(folder) / "tiny.gguf").read_bytes()


def gguf(dice: random.Random, _secret: str, folder: Path) -> None:
    """A GGUF file, its metadata mostly, as far as a model that is loaded from it."""
    from lib.engines.local.loading import load

    data = bytearray(_gguf())
    end = data.find(b"token_embd")  # the metadata comes before the tensors
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(end if dice.random() < 0.9 else len(data))
        if dice.random() < 0.6:
            data[place : place + 8] = dice.choice([0, 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1]).to_bytes(
                8, "little"
            )
        elif dice.random() < 0.8:
            data[place] = dice.randrange(256)
        else:
            del data[dice.randrange(len(data)) :]
    path = folder / f"{dice.randrange(1 << 60)}.gguf"
    path.write_bytes(data)
    try:
        load(str(path))
    finally:
        path.unlink()


@cache
def _runs_file() -> dict[str, Any]:
    from dataclasses import replace

    from lib.access.visitor import ALONE
    from lib.store.archive import export_runs
    from lib.store.database import open_database
    from lib.store.run import Answer, Run, RunState
    from lib.store.runs import Runs
    from tests.benchmarks.completions import long_completion

    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(open_database(f"sqlite:///{folder}/runs.sqlite"))
        for name in ("first", "second"):
            run = Run(id=f"the-{name}-run", page="explore", model="m", title=name, state=RunState.FINISHED)
            runs.finish(replace(run, details={"question": {"source": "embedded"}}), [Answer(long_completion(5))])
        text = "".join(export_runs(runs, ["the-first-run", "the-second-run"], by=ALONE))
        runs.database.close()
    return json.loads(text)  # type: ignore[no-any-return]


def runs(dice: random.Random, secret: str, folder: Path) -> None:
    """A file of runs, imported as a whole or not at all, and listed afterwards."""
    from lib.store.archive import import_runs
    from lib.store.database import open_database
    from lib.store.queries import Filter, listed
    from lib.store.runs import Runs

    document: Any = _runs_file()
    for _ in range(dice.randint(1, 3)):
        document = hostile(document, dice, secret) if dice.random() < 0.5 else changed(document, dice)
    data = json.dumps(document).encode("utf-8", "surrogatepass")
    store = Runs(open_database(f"sqlite:///{folder}/{dice.randrange(1 << 60)}.sqlite"))
    added = 0
    try:
        data = data if dice.random() < 0.8 else spoilt(data, dice)
        added = len(import_runs(store, data, by=Visitor("v", alone=False)).added)
    finally:
        here = listed(store.database, Filter())
        assert len(here.runs) == added, "an import that is neither whole nor nothing"
        for run in here.runs:
            json.dumps([run.title, run.note, *run.tags], ensure_ascii=False).encode()
            store.open(run.id)
        store.database.close()


KINDS: Mapping[str, Callable[[random.Random, str, Path], None]] = {
    "tokenizer": tokenizer,
    "template": template,
    "gguf": gguf,
    "runs": runs,
}


def _keeps_secrets(text: str) -> None:
    assert SECRET not in text, "a secret was read"


def work(kind: str, seed: int, folder: Path) -> str:
    """What went wrong with one file, "" for nothing."""
    began, before = time.monotonic(), psutil.Process().memory_info().rss
    try:
        KINDS[kind](random.Random(seed), str(folder / "secret.txt"), folder)
    except CandorError as error:
        if not (error.cause and error.remedy):
            return f"{kind} {seed}: no cause or no remedy: {error!r}"
        if SECRET in str(error) + error.detail:
            return f"{kind} {seed}: a secret in an error"
    except BaseException:
        return f"{kind} {seed}: {traceback.format_exc(limit=-4)}"
    if time.monotonic() - began > _SECONDS:
        return f"{kind} {seed}: took {time.monotonic() - began:.0f} s"
    if psutil.Process().memory_info().rss - before > _MEMORY:
        return f"{kind} {seed}: took memory"
    return ""


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    kinds = [sys.argv[2]] if len(sys.argv) > 2 else list(KINDS)
    first = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    os.environ["AWS_SECRET_ACCESS_KEY"] = SECRET
    bad = 0
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(os.cpu_count()) as pool:
        folder = Path(name)
        os.environ["CANDOR_CACHE"] = str(folder / "cache")
        (folder / "secret.txt").write_text(f"[UNK]\n{SECRET}\n")
        for made in (_specs, _sentencepiece, _gguf, _runs_file):
            made()  # libraries are imported in one thread
        for kind in kinds:
            began = time.monotonic()
            seeds = range(first, first + count)
            problems = [each for each in pool.map(partial(work, kind, folder=folder), seeds) if each]
            taken = f"{time.monotonic() - began:.0f} s"
            print(*problems[:20], f"{kind}: {count:,} files, {len(problems)} wrong, {taken}", sep="\n", flush=True)
            bad += len(problems)
    return min(bad, 1)


if __name__ == "__main__":
    raise SystemExit(main())
