"""Finding saved runs: after a restart, by text, by link and from a file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from lib.access.visitor import ALONE
from lib.store.archive import export_runs
from lib.store.database import open_database
from lib.store.queries import sizes
from lib.store.run import Answer, Run, RunState
from lib.store.runs import Runs
from tests.benchmarks.completions import long_completion
from tests.e2e.conftest import Serve
from tests.support.browser import generate, serving, upload, wait_for_app, wait_for_map
from tests.support.paths import FOX
from tests.support.strategies import completion_of, tokens_of

pytestmark = pytest.mark.browser


def store(folder: Path) -> Runs:
    return Runs(open_database(f"sqlite:///{folder}/runs.sqlite"))


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four saved runs. Each test changes its own run only."""
    folder = tmp_path_factory.mktemp("data_folder")
    runs = store(folder)
    for number, text in enumerate(["Rivers flow to the sea.", "東京へ行く。", "A third <b>answer</b>."]):
        done = completion_of(
            tokens_of("Say", " it"), tokens_of(*text.split(" "), logprobs=[-0.4] * (text.count(" ") + 1)), text=text
        )
        run = Run(
            id=f"run-number-{number}",
            page="explore",
            model="some-model",
            title=f"Question {number}",
            state=RunState.FINISHED,
        )
        runs.finish(run, [Answer(done)])
    runs.finish(
        Run(id="run-number-3", page="explore", model="m", title="A long one", state=RunState.FINISHED),
        [Answer(long_completion(2000))],
    )
    runs.database.close()
    return folder


@pytest.fixture
def history(page: Page, serve: Serve, data_folder: Path) -> Page:
    page.goto(serve("app.py", CANDOR_WARM_UP="0", CANDOR_DATA=str(data_folder)) + "/history")
    expect(page.get_by_text(re.compile(r"\d runs saved"))).to_be_visible()
    wait_for_app(page)
    return page


def open_response(page: Page, url: str) -> None:
    """Open the published response in Explore."""
    page.goto(url)
    page.get_by_text("Saved response", exact=True).click()
    response = json.dumps(json.loads(FOX.read_text())["response"])
    page.get_by_role("textbox", name="Response").fill(response)
    page.get_by_test_id("stBaseButton-primary").click()
    wait_for_map(page)


def look_for(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Search").fill(text)
    page.keyboard.press("Enter")
    wait_for_app(page)


def choose_rows(page: Page, *rows: int) -> None:
    box = page.get_by_test_id("stDataFrame").locator("canvas").first.bounding_box()
    assert box is not None
    for row in rows:
        page.mouse.click(box["x"] + 14, box["y"] + 35 * (row + 1) + 17)
        wait_for_app(page)


def test_find_and_open_a_run(history: Page) -> None:
    look_for(history, "京")
    choose_rows(history, 0)
    history.get_by_test_id("stBaseButton-primary").click()
    wait_for_map(history)
    assert "run=run-number-1" in history.url
    assert "".join(history.locator(".text i").all_text_contents()) == "Say it東京へ行く。"
    expect(history.get_by_role("alert")).to_have_count(0)


def test_compare_two_runs(history: Page) -> None:
    look_for(history, "say it")
    choose_rows(history, 0, 1)
    expect(history.locator(".candor")).to_have_count(2)
    expect(history.get_by_text("2 runs selected")).to_be_visible()


def test_remove_and_undo(history: Page) -> None:
    look_for(history, "rivers")
    choose_rows(history, 0)
    history.get_by_role("button", name="Remove from history", exact=True).click()
    expect(history.get_by_text("No matching runs")).to_be_visible()
    expect(history.get_by_text("1 run removed from history")).to_be_visible()
    history.get_by_role("button", name="Undo").click()
    expect(history.get_by_text("No matching runs")).to_have_count(0)
    expect(history.get_by_test_id("stDataFrame")).to_be_visible()


def test_title_note_and_export(history: Page, data_folder: Path) -> None:
    look_for(history, "third")
    choose_rows(history, 0)
    history.get_by_role("textbox", name="Title").fill("My <i>title</i>")
    history.get_by_role("textbox", name="Note").fill("a note")
    history.get_by_role("button", name="Save").click()
    wait_for_app(history)
    run = store(data_folder).get("run-number-2")
    assert run is not None
    assert (run.title, run.note) == ("My <i>title</i>", "a note")
    with history.expect_download() as download:
        history.get_by_role("button", name="Export", exact=True).click()
    document = json.loads(Path(download.value.path()).read_text())
    assert [each["id"] for each in document["runs"]] == ["run-number-2"]


@pytest.mark.model
def test_saved_runs_survive_killing_the_server(page: Page, tmp_path: Path) -> None:
    """Both an opened response and a partial answer."""
    environment = {"CANDOR_DATA": str(tmp_path)}
    with serving("app.py", environment) as url:
        open_response(page, url)
        text = page.locator(".text i").all_text_contents()
        expect(page.get_by_text("Saved to history.")).to_be_visible()
        response = link_of(page)
        page.get_by_text("Raw", exact=True).click()
        generate(page, "The rivers of Europe are", tokens=400)
        runs = store(tmp_path)
        before, written = sizes(runs.database).tokens, 0
        while written < 10:  # partial answers are saved twice a second
            page.wait_for_timeout(100)
            written = sizes(runs.database).tokens - before
        runs.database.close()
        answer = link_of(page)
        page.goto("about:blank")  # a page that loses its server while sending logs an error
        kill(url)
    with serving("app.py", environment | {"CANDOR_WARM_UP": "0"}) as url:
        page.goto(f"{url}/?{answer}")
        wait_for_map(page)
        expect(page.get_by_text("Candor stopped while this answer was being generated.")).to_be_visible()
        assert "".join(page.locator(".text i").all_text_contents()).startswith("The rivers of Europe are")
        assert page.locator(".text i").count() >= written
        page.goto(f"{url}/?{response}")
        wait_for_map(page)
        assert page.locator(".text i").all_text_contents() == text
        page.get_by_role("button", name="Remove from history").click()
        expect(page.get_by_text("Not saved;")).to_be_visible()
        page.goto(f"{url}/history")
        expect(page.get_by_text("1 run saved")).to_be_visible()
        page.goto("about:blank")


def link_of(page: Page) -> str:
    found = re.search(r"run=[\w-]+", page.url)
    assert found is not None
    return found[0]


def kill(url: str) -> None:
    """Kill the server behind a URL as a crash would."""
    port = url.rsplit(":", 1)[1]
    for process in psutil.process_iter(["cmdline"]):
        if port in (process.info["cmdline"] or ()):
            process.kill()
            process.wait(10)


def test_a_file_is_imported_once(history: Page, data_folder: Path, tmp_path: Path) -> None:
    other = store(tmp_path / "other")
    run = Run(id="from-elsewhere", page="explore", model="m", title="From elsewhere", state=RunState.FINISHED)
    other.finish(run, [Answer(long_completion(20))])
    file = tmp_path / "runs.json"
    file.write_text("".join(export_runs(other, [run.id], by=ALONE)))
    other.database.close()
    history.get_by_text("Import and export", exact=True).click()
    for message in ("1 run imported.", "0 runs imported, 1 run already here."):
        upload(history, history.locator("input[type=file]"), file)
        history.get_by_role("button", name="Import", exact=True).click()
        expect(history.get_by_text(message)).to_be_visible()
        wait_for_app(history)
    expect(history.get_by_text("5 runs saved")).to_be_visible()


def test_runs_are_saved_once_a_broken_store_works_again(page: Page, tmp_path: Path) -> None:
    (tmp_path / "runs.sqlite").write_bytes(b"This file is not a database, despite its name." * 30)
    with serving("app.py", {"CANDOR_WARM_UP": "0", "CANDOR_DATA": str(tmp_path)}) as url:
        open_response(page, url)
        page.get_by_role("radio", name="Chat").or_(page.get_by_text("Chat", exact=True)).first.click()
        expect(page.get_by_text("Runs cannot be saved or read at the moment")).to_be_visible()
        expect(page.locator(".text i").first).to_be_visible()
        (tmp_path / "runs.sqlite").unlink()
        page.wait_for_timeout(6_000)  # longer than Candor waits between attempts
        page.get_by_text("Raw", exact=True).click()
        expect(page.get_by_text("Runs are being saved again.")).to_be_visible()
        expect(page.get_by_text("Saved to history.")).to_be_visible()
        page.goto(f"{url}/history")
        expect(page.get_by_text("1 run saved")).to_be_visible()
        page.goto("about:blank")
