"""Growing answers as the browser fetches them: frames that add up to the answer, for those who have a key."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from components import server
from components.server import routes
from components.token_map import feed
from components.token_map.feed import Growing, Key
from lib.core.columnar import unpack
from lib.core.completion import Completion
from lib.display.token_map_columns import fingerprint
from lib.display.token_map_view import TokenMapView
from lib.errors import CandorError
from lib.jobs.batch import Batch, batch_of
from lib.jobs.job import Job
from tests.benchmarks.completions import long_completion
from tests.e2e.apps.token_map_app import examples

PER_TOKEN = ("token.flags", "token.step.probability", "token.step.surprisal", "sentence.step.probability")
VISITORS = 20


def read(frame: bytes) -> tuple[dict[str, Any], Any]:
    """The options of a frame, and its columns; None if it has none."""
    length = int.from_bytes(frame[:4], "little")
    rest = frame[4 + length :]
    return json.loads(frame[4 : 4 + length]), unpack(rest, "view")[1] if rest else None


def waiting() -> Job[Batch]:
    """A job whose work the test does."""
    return Job(lambda _: Batch())


def grown(done: Completion, tokens: int) -> Completion:
    return replace(done, generated=done.generated[:tokens])


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(Starlette(routes=routes())) as made:  # type: ignore[arg-type]
        yield made


@pytest.mark.parametrize("done", [examples()["longer"], long_completion(400)], ids=["every kind of token", "long"])
def test_frames_add_up_to_the_answer(done: Completion) -> None:
    """Whatever the browser has settled, what follows is drawn as it would be in the whole."""
    job = waiting()
    growing = Growing(job)
    version, base = -1, 0
    for tokens in [*range(1, len(done.generated), 7), len(done.generated)]:
        now = grown(done, tokens)
        job.publish(batch_of([now]))
        options, columns = read(growing.frame(version, base, fingerprint(now, base)))
        whole = unpack(TokenMapView(now).packed(), "view")[1]
        for name in PER_TOKEN[:1]:
            assert columns[name].tolist() == whole[name][base:].tolist(), (tokens, base, name)
        for name in PER_TOKEN[1:]:
            ours = columns[name]
            assert ours.tolist() == whole[name][len(whole[name]) - len(ours) :].tolist(), (tokens, base, name)
        assert options["settled"] >= base
        version, base = options["version"], options["settled"]
    assert base > 0


def test_what_the_browser_has_is_checked() -> None:
    """Another answer, or one that became shorter: all of it is sent."""
    done = long_completion(400)
    job = waiting()
    job.publish(batch_of([done]))
    growing = Growing(job)
    settled = TokenMapView(done).settled
    assert len(read(growing.frame(-1, settled, fingerprint(done, settled)))[1]["token.flags"]) == 400 - settled
    for base, before in ((settled, 1), (-3, 0), (0, 0), (401, fingerprint(done, 400)), (10**12, 5)):
        options, columns = read(growing.frame(-1, base, before))
        assert len(columns["token.flags"]) == 400
        assert options["shared"]["scales"]


def test_a_frame_comes_with_the_news_and_not_before() -> None:
    job = waiting()
    growing = Growing(job)

    async def ask() -> tuple[dict[str, Any], Any, float]:
        began = time.monotonic()
        options, columns = read(await growing.next_frame(job.version, 0, 0))
        return options, columns, time.monotonic() - began

    options, columns, took = asyncio.run(ask())
    assert columns is None
    assert 0.9 < took < 5
    assert options["status"] == "Starting · 0 s" or options["status"] == "Starting · 1 s"
    threading.Timer(0.2, lambda: job.publish(batch_of([long_completion(20)]), note="Generating")).start()
    options, columns, took = asyncio.run(ask())
    assert len(columns["token.flags"]) == 20
    assert 0.15 < took < 0.9
    assert options["status"].startswith("Generating · ")


def test_the_end_is_told_with_the_last_tokens(client: TestClient) -> None:
    job: Job[Batch] = Job(lambda _: batch_of([long_completion(30)]))
    key = Key(Growing(job))
    job.publish(batch_of([long_completion(20)]))
    job.run()
    options, columns = read(client.get(f"/growing/{key.text}?version={job.version}").content)
    assert options["over"]
    assert len(columns["token.flags"]) == 30


def test_a_job_that_failed_ends_without_tokens(client: TestClient) -> None:
    def fails(_: Job[Batch]) -> Batch:
        raise CandorError("It failed.", "Try again.")

    job = Job(fails)
    key = Key(Growing(job))
    job.run()
    options, columns = read(client.get(f"/growing/{key.text}").content)
    assert (options["over"], columns) == (True, None)


def test_only_a_key_opens_an_answer(client: TestClient) -> None:
    job = waiting()
    job.publish(batch_of([long_completion(20)]))
    key = Key(Growing(job))
    found = client.get(f"/growing/{key.text}")
    assert (found.status_code, found.headers["cache-control"]) == (200, "no-store")
    for wrong in (job.id, key.text[:-1], key.text + "x", "", "%00", "../" + key.text):
        assert client.get(f"/growing/{wrong}").status_code == 404, wrong
    for asked in ("version=x", "base=1.5", "before=", "version=1e9"):
        assert client.get(f"/growing/{key.text}?{asked}").status_code == 400, asked
    assert client.post(f"/growing/{key.text}").status_code == 405
    text = key.text
    del key  # the session is over
    gc.collect()
    assert client.get(f"/growing/{text}").status_code == 404


def test_behind_a_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.st, "get_option", lambda _: "/tools/candor/")
    assert [route.path for route in routes()] == ["/tools/candor/growing/{key}"]


def test_many_visitors_follow_one_answer() -> None:
    """Each gets all of it, and the same frame is made once for all of them."""
    done = long_completion(300)
    job: Job[Batch] = Job(lambda _: batch_of([done]))
    growing = Growing(job)
    keys = [Key(growing) for _ in range(VISITORS)]
    made: list[int] = []
    make = feed.TokenMapView

    def write() -> None:
        for tokens in range(10, 301, 10):
            job.publish(batch_of([grown(done, tokens)]))
            time.sleep(0.03)
        job.run()

    async def follow(client: httpx.AsyncClient, key: Key) -> int:
        version, base, seen = -1, 0, 0
        for _ in range(1_000):
            before = fingerprint(done, base)
            asked = f"version={version}&base={base}&before={before}"
            options, columns = read((await client.get(f"/growing/{key.text}?{asked}")).content)
            if columns is not None:
                seen = base + len(columns["token.flags"])
                version, base = options["version"], options["settled"]
            if options["over"]:
                break
        return seen

    async def all_of_them() -> list[int]:
        app: Any = Starlette(routes=routes())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://candor") as client:
            return await asyncio.gather(*(follow(client, key) for key in keys))

    class Counted(make):  # type: ignore[misc,valid-type]
        def packed(self, *arguments: Any, **named: Any) -> bytes:
            made.append(1)
            return make.packed(self, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "TokenMapView", Counted)
        writer = threading.Thread(target=write)
        writer.start()
        assert asyncio.run(all_of_them()) == [300] * VISITORS
        writer.join()
    assert len(made) < 30 * VISITORS / 4
