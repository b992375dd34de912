"""Runs as they are kept, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lib.access.visitor import ALONE, Visitor
from lib.core.completion import Completion
from lib.store.answer_rows import slice_of
from lib.store.database import Database
from lib.store.queries import (
    Filter,
    Sizes,
    counted,
    listed,
    names,
    put_back_all,
    remove_all,
    sizes,
)
from lib.store.run import Answer, Run, RunState, microseconds
from lib.store.runs import Runs
from lib.store.text_query import Effort
from tests.benchmarks.completions import long_completion
from tests.benchmarks.store import index_size
from tests.support.strategies import completion_of, tokens_of


def said(text: str) -> Completion:
    return completion_of(
        tokens_of("Say", " it", ":"),
        tokens_of(*text.split("|"), logprobs=[-0.5] * (text.count("|") + 1)),
        text=text.replace("|", ""),
    )


def kept(runs: Runs, text: str, **fields: object) -> Run:
    run = Run(**{"page": "explore", "model": "m", "title": "Say it:", "state": RunState.FINISHED, **fields})  # type: ignore[arg-type]
    runs.finish(run, [Answer(said(text))])
    return run


def found(database: Database, text: str, effort: Effort | None = None) -> list[str]:
    return [run.id for run in listed(database, Filter(text=text), effort=effort or Effort()).runs]


def test_a_run_comes_back_as_it_was(runs: Runs) -> None:
    answers = [
        Answer(long_completion(300)),
        Answer(None, ("It failed.", "Try again.")),
        Answer(said("yes"), ("Broke off.", "")),
    ]
    run = Run(
        page="explore", model="m \0 \ud800 \\u0041 😀", title="\\", note="n\0", tags=("b", "a\ud801"),
        details={"x": "\0\ud800"}, state=RunState.FAILED, error=("Some failed.", "Ask again."), seconds=1.5, source="s",
        owner="me", version="1", parent="p",
    )  # fmt: skip
    runs.begin(run)
    runs.finish(run, answers)
    again, opened = runs.open(run.id)  # type: ignore[misc]
    assert [each.error for each in opened] == [each.error for each in answers]
    assert all(a.completion.identical(b.completion) for a, b in zip(opened, answers, strict=True) if b.completion)
    assert opened[1].completion is None
    for name in (
        "page",
        "model",
        "title",
        "note",
        "details",
        "state",
        "error",
        "seconds",
        "source",
        "owner",
        "version",
        "parent",
    ):
        assert getattr(again, name) == getattr(run, name), name
    assert again.tags == ("a\ud801", "b")
    assert again.tokens == 304
    assert again.bytes > 0


def test_what_was_written_until_a_crash_is_there(runs: Runs, url: str) -> None:
    done = long_completion(100)
    run = Run(page="explore", model="m", title="t")
    runs.begin(run)
    assert runs.open(run.id)[1] == ()  # type: ignore[index]
    runs.append(run.id, 0, 0, replace(done, generated=done.generated[:40], text=""))
    runs.append(run.id, 0, 1, slice_of(done, 40, 0))
    again, (answer,) = runs.open(run.id)  # type: ignore[misc]
    assert again.state == RunState.INCOMPLETE
    assert answer.completion == done
    runs.finish(Run(page="explore", model="m", id=run.id, state=RunState.CANCELLED), [Answer(done)])
    again, (answer,) = runs.open(run.id)  # type: ignore[misc]
    assert (again.state, again.title) == (RunState.CANCELLED, "t")
    assert answer.completion == done


def test_found_by_any_piece_of_its_text(runs: Runs, database: Database) -> None:
    ids = {text: kept(runs, text).id for text in ("The quick| brown fox", "東京|へ行く", "Straße| \0 x", "ﬁne")}
    assert found(database, "ck BRO") == [ids["The quick| brown fox"]]
    assert found(database, "京") == [ids["東京|へ行く"]]
    assert found(database, "く") == [ids["東京|へ行く"]]
    assert found(database, "strasse") == [ids["Straße| \0 x"]]
    assert found(database, "fine") == [ids["ﬁne"]]
    assert found(database, "zzz") == []
    assert len(found(database, "say it")) == 4


@pytest.mark.parametrize("few", [0, 1_000])
def test_found_far_back(runs: Runs, database: Database, few: int) -> None:
    """Through the index, or by reading the texts if there are few."""
    effort = Effort(recent=2, few=few, batch=3)
    ids = [kept(runs, f"number| {n}| '\"\\ 京都" if n % 3 else f"other| {n}").id for n in range(12)]
    odd = [ids[n] for n in range(12) if n % 3]
    for text in ("numb", "'\"\\", "京都", "\\", "r "):
        assert [each for each in found(database, text, effort) if each in odd] == odd[::-1], text
    pages, start = [], 0
    while start is not None:
        some = listed(database, Filter(text="number"), start=start, count=3, effort=effort)
        pages += [run.id for run in some.runs]
        start = some.following
    assert pages == odd[::-1]


def test_filters_and_names(runs: Runs, database: Database) -> None:
    a = kept(runs, "a", page="explore", model="x", created=10, tags=("red",))
    b = kept(runs, "b", page="prompts", model="y", created=20, owner="me")
    c = kept(runs, "c", page="prompts", model="x", created=30, owner="you", shared=True)

    def ids(**fields: object) -> list[str]:
        return [run.id for run in listed(database, Filter(**fields)).runs]  # type: ignore[arg-type]

    assert ids() == [c.id, b.id, a.id]
    assert ids(page="prompts") == [c.id, b.id]
    assert ids(model="x") == [c.id, a.id]
    assert ids(tag="red") == [a.id]
    assert ids(since=20) == [c.id, b.id]
    assert ids(until=20) == [a.id]
    assert ids(owner="me") == [b.id]
    assert ids(owner="me", shared=True) == [c.id, b.id]
    assert names(database) == {"page": ["explore", "prompts"], "model": ["x", "y"], "tag": ["red"]}
    assert names(database, "me") == {"page": ["prompts"], "model": ["y"], "tag": []}
    assert names(database, "nobody") == {"page": [], "model": [], "tag": []}


def test_sizes_are_those_of_what_is_kept(runs: Runs, database: Database) -> None:
    assert sizes(database) == Sizes(0, 0, 0, 0)
    mine = kept(runs, "schön", owner="me")
    kept(runs, "b", owner="you")
    found, run = sizes(database, "me"), runs.get(mine.id)
    assert run is not None
    assert found == Sizes(1, 4, run.bytes, run.text_bytes)
    assert run.text_bytes == len("say it:say it:\nschön".encode())
    assert sizes(database).runs == 2
    assert index_size(database) > 0
    runs.remove([mine.id], by=ALONE)
    assert sizes(database, "me") == Sizes(0, 0, 0, 0)


def test_all_of_a_kind_are_removed_and_put_back(runs: Runs, database: Database) -> None:
    old, new, other = (
        kept(runs, "a", created=10, owner="me"),
        kept(runs, "b", created=20, owner="me"),
        kept(runs, "c", created=10, owner="you"),
    )
    which = Filter(owner="me", until=20)
    assert counted(database, which) == 1
    when = remove_all(database, which, by=ALONE)
    assert [run.id for run in listed(database, Filter()).runs] == [other.id, new.id]
    put_back_all(database, when, by=Visitor("you", alone=False))
    assert counted(database, which) == 0
    put_back_all(database, when, by=Visitor("me", alone=False))
    assert runs.get(old.id) is not None


def test_found_by_what_was_asked_though_it_was_not_sent_back(runs: Runs, database: Database) -> None:
    asked = {"question": {"request": {"prompt": None, "messages": [{"role": "user", "content": "Wie hoch? " * 30}]}}}
    run = Run(page="explore", model="m", title="Wie hoch?", details=asked | {"other": 1})
    runs.begin(run)
    assert found(database, "hoch? wie hoch?") == [run.id]  # before anything has come
    runs.finish(replace(run, state=RunState.FINISHED), [Answer(said("sehr"))])
    assert found(database, "hoch? wie hoch?") == found(database, "sehr") == [run.id]
    for details in ({"question": 1}, {"question": {"request": {"messages": [1, {"content": 2}]}}}):
        kept(runs, "odd", details=details)


def test_its_model_and_tokenizer_are_named(runs: Runs) -> None:
    done = replace(said("a"), provenance=(("weights", "w" * 64), ("vocabulary", "v" * 64)))
    run = Run(page="explore", model="m")
    runs.begin(run)
    runs.append(run.id, 0, 0, done)
    for _ in range(2):
        again = runs.get(run.id)
        assert again is not None
        assert (again.model_fingerprint, again.tokenizer_fingerprint) == ("w" * 64, "v" * 64)
        runs.finish(run, [Answer(done)])


def test_a_clock_that_goes_backwards(database: Database) -> None:
    """Runs are in the order in which they began, whatever the clock said."""
    times = iter(range(1_000_000, 0, -1_000))
    runs = Runs(database, clock=lambda: next(times))
    first, second = Run(page="explore", model="m", title="x"), Run(page="explore", model="m", title="x")
    for run in (first, second):
        runs.begin(run)
        runs.append(run.id, 0, 0, said("one"))
        runs.append(run.id, 0, 1, slice_of(said("one| more"), 1, 3))
        runs.finish(replace(run, state=RunState.FINISHED), [Answer(said("one| more"))])
    assert found(database, "one more") == [second.id, first.id]
    assert [run.id for run in listed(database, Filter()).runs] == [second.id, first.id]
    runs.remove([first.id], by=ALONE)
    runs.erase(next(times))  # an earlier moment than that at which it was removed
    runs.put_back([first.id], by=ALONE)
    assert runs.get(first.id) is not None


def test_removed_put_back_and_erased(runs: Runs, database: Database, url: str) -> None:
    secret = kept(runs, "my| secret| word")
    other = kept(runs, "another| word")
    runs.remove([secret.id], by=ALONE)
    assert runs.open(secret.id) is None
    assert found(database, "word") == [other.id]
    runs.put_back([secret.id], by=ALONE)
    assert found(database, "word") == [other.id, secret.id]
    runs.remove([secret.id], by=ALONE)
    assert runs.erase(microseconds()) == 1
    assert runs.erase(microseconds()) == 0
    assert found(database, "word") == [other.id]
    assert found(database, "secret") == []


def test_a_detail_that_is_set_later_stays_with_the_run(runs: Runs) -> None:
    run = kept(runs, "a")
    assert runs.set_detail(run.id, "grades", {"0": {"é": True}}, by=ALONE)
    assert runs.set_detail(run.id, "grades", {"0": {"é": False}}, by=ALONE)
    again = runs.get(run.id)
    assert again is not None
    assert again.details == {**run.details, "grades": {"0": {"é": False}}}
    assert not runs.set_detail("none", "grades", {}, by=ALONE)
    assert not runs.set_detail(run.id, "grades", {}, by=Visitor("another", alone=False))
    with pytest.raises(ValueError, match="cannot be changed"):
        runs.set_detail(run.id, "plan", {}, by=ALONE)


def test_changed_and_tagged(runs: Runs, database: Database) -> None:
    run = kept(runs, "a")
    runs.change([run.id], title="T\0", note="n", shared=True, by=ALONE)
    assert found(database, "t\ufffd") == [run.id]
    runs.change([run.id], title="Another one", by=ALONE)
    assert found(database, "other o") == [run.id]
    assert found(database, "t\ufffd") == []
    runs.finish(replace(run, title="as asked"), [Answer(said("a"))])  # goes on to be called what it was named
    assert found(database, "other o") == [run.id]
    runs.change([run.id], title="T\0", by=ALONE)
    runs.tag(run.id, ["one", " two ", "", "one"], by=ALONE)
    again = runs.get(run.id)
    assert again is not None
    assert (again.title, again.note, again.shared, again.tags) == ("T\0", "n", True, ("one", "two"))
