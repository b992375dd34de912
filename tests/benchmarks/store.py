"""The store: keeping a run, opening it, finding one of many, and what generation pays for being kept."""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

from sqlalchemy import text

from lib.core.request import Request
from lib.core.sources import EMBEDDED
from lib.engines.local.opening import open_local
from lib.jobs.call import Call
from lib.jobs.engine_pool import Engines
from lib.store.compression import compress_completion
from lib.store.database import Database, open_database
from lib.store.job_runs import run_about
from lib.store.queries import SORTS, Filter, listed, names, sizes
from lib.store.run import Answer, Run, RunState
from lib.store.run_rows import insert_run
from lib.store.runs import Runs
from lib.store.search_index import index_text, indexed
from lib.store.writer import RunWriter
from tests.benchmarks.completions import long_completion
from tests.benchmarks.report import Figure, seconds
from tests.support.asking import job_for
from tests.support.postgres import postgres, schema

_LONG = 10_000  # tokens of one run
_OLD = "zyzzyva"
_MANY, _EACH = 100_000, 200  # runs, and tokens of each
_TOKENS, _ROUNDS = 120, 7  # of an answer that is written while it is kept, and how often


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    done = long_completion(_LONG)
    yield Figure(f"bytes per token at {_LONG:,} tokens, top-5 and pieces", len(compress_completion(done)) / _LONG, 32)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(postgres())
        urls = {"SQLite": f"sqlite:///{folder}/runs.sqlite"}
        if server is not None:
            urls["PostgreSQL"] = stack.enter_context(schema(server))
        for name, url in urls.items():
            database = open_database(url)
            yield from _one_run(name, Runs(database))
            yield from _history(name, database)
            database.close()
    yield _kept()


def _one_run(name: str, runs: Runs) -> Iterator[Figure]:
    done = long_completion(_LONG)
    saved, opened = [], []
    for _ in range(12):
        run = Run(page="explore", model="m", title="long", state=RunState.FINISHED)
        saved.append(seconds(lambda run=run: runs.finish(run, [Answer(done)])))  # type: ignore[misc]
        opened.append(seconds(lambda run=run: runs.open(run.id)))  # type: ignore[misc]
    yield Figure(f"{name}: a run of {_LONG:,} tokens, saved, ms", 1000 * statistics.median(saved[2:]), 50)
    yield Figure(f"{name}: … opened to a completion, ms", 1000 * statistics.median(opened[2:]), 60)


def _history(name: str, database: Database) -> Iterator[Figure]:
    """First pages of searches: what is everywhere, what is rare, what is nowhere, of one character on."""
    chance = random.Random(5)
    words = [_word(chance) for _ in range(20_000)]
    signs = [chr(0x4E00 + number) for number in range(3_000)]
    runs = 0
    while runs < _MANY:
        with database.writing() as connection:
            for _ in range(2_000):
                text = _text(chance, words, signs) + (f" {_OLD}" if runs < _MANY // 2 and runs % 3 == 0 else "")
                tags = ("rare",) if runs % 10_000 == 77 else ()
                run = Run(
                    page="explore", model=f"model {runs % 7}", title=text[:80], state=RunState.FINISHED, tags=tags,
                    tokens=_EACH, bytes=26 * _EACH, created=runs,
                )  # fmt: skip
                index_text(connection, insert_run(connection, run), indexed(text))
                runs += 1
    kept, index = sizes(database), index_size(database)
    yield Figure(f"{name}: bytes of text per token, {_MANY:,} runs of {_EACH} tokens", kept.texts / (_MANY * _EACH))
    yield Figure(f"{name}: … of its index", index / (_MANY * _EACH))
    rare, pair = words[-1], signs[-2] + signs[-1]
    for what, text in {
        "a common word": words[0], "a rare word": rare, "a rare piece": rare[1:],
        "two rare words": f"{rare} {words[-2]}",
        "what was common once": _OLD,
        "a common Chinese word": signs[0] + signs[1], "a rare Chinese word": pair, "one Chinese sign": signs[-5],
        "what is nowhere": "qqzzqqxx", "no text": "",
    }.items():  # fmt: skip
        yield _first_page(name, what, lambda text=text: listed(database, Filter(text=text)))  # type: ignore[misc]
    for what, which in {
        "a common word and a rare tag": Filter(text=words[0], tag="rare"),
        "a rare word and a model": Filter(text=rare, model="model 3"),
        "the oldest tenth": Filter(until=_MANY // 10), "a rare tag": Filter(tag="rare"),
    }.items():  # fmt: skip
        yield _first_page(name, what, lambda which=which: listed(database, which))  # type: ignore[misc]
    for sort in SORTS:
        yield _first_page(name, f"sorted by {sort}", lambda sort=sort: listed(database, Filter(), sort=sort))  # type: ignore[misc]
    yield _first_page(name, "and all that stands around it", lambda: (sizes(database), names(database)))


def index_size(database: Database) -> int:
    """Bytes that the index of all texts takes."""
    of = {
        "postgresql": "SELECT pg_relation_size('texts_grams')",
        # The index is one table of blocks; its virtual table adds next to nothing.
        "sqlite": "SELECT coalesce(sum(length(block)), 0) FROM grams_data",
    }
    with database.reading() as connection:
        return int(connection.execute(text(of[database.kind])).scalar_one())


def _first_page(name: str, what: str, look: Callable[[], object]) -> Figure:
    taken = [seconds(look) for _ in range(9)]
    return Figure(f"{name}: first page of {_MANY:,} runs, {what}, ms", 1000 * statistics.median(taken[2:]), 50)


def _word(chance: random.Random) -> str:
    return "".join(chance.choice("bcdfglmnprst") + chance.choice("aeiou") for _ in range(chance.randint(2, 4)))


def _text(chance: random.Random, words: list[str], signs: list[str]) -> str:
    """Words by something like Zipf's law; one run in five is Chinese."""
    if chance.random() < 0.2:
        return "".join(signs[int(len(signs) * chance.random() ** 3)] for _ in range(_EACH))
    return " ".join(words[int(len(words) * chance.random() ** 4)] for _ in range(_EACH * 3 // 4))


def _kept() -> Figure:
    """Answers of the embedded model, in turns kept and not, each as long as the others."""
    engines = Engines(lambda source: open_local(source.name))
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/runs.sqlite")
        keeper = RunWriter(lambda: Runs(database))
        call = Call(EMBEDDED, Request("Once upon a time", max_tokens=_TOKENS, temperature=0.0))

        def generated(number: int, keep: bool) -> float:
            asked = replace(call, request=replace(call.request, prompt=f"Once upon a time, {number}"))
            job = job_for(engines, asked)
            if keep:
                keeper.follow(job, run_about(job, "explore", owner="", version="0"))
            job.run()
            assert job.result is not None
            return job.seconds

        generated(0, True)
        pairs = [(generated(number, True), generated(number, False)) for number in range(_ROUNDS)]
        assert keeper.close(30)
        database.close()
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    return Figure(f"{_TOKENS} tokens of the embedded model written while they are kept ÷ without", ratio, 1.02)
