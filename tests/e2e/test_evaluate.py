"""The Evaluate page: a labelled file, what is wrong with it, the report, and the link back to it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lib.evaluation.calibration import calibration_in
from tests.e2e.conftest import Serve
from tests.support.browser import upload, wait_for_app, wait_for_map

pytestmark = [pytest.mark.browser, pytest.mark.model]


def test_a_labelled_file_from_upload_to_report(page: Page, serve: Serve, tmp_path: Path) -> None:
    url = serve("app.py")
    page.goto(f"{url}/evaluate")
    expect(page.get_by_text("The report appears here")).to_be_visible()

    bad = tmp_path / "bad.csv"
    bad.write_bytes("question,answer\né,1\n".encode("latin-1"))
    upload(page, page.get_by_test_id("stFileUploaderDropzoneInput"), bad)
    expect(page.get_by_text("Line 2 of the file is not UTF-8")).to_be_visible()

    rows: list[dict[str, object]] = [
        {
            "question": f"{number}+0=",
            "answer": 77 if number == 3 else number,
            "size": "small" if number < 5 else "large",
        }
        for number in range(1, 10)
    ]
    rows.append({"question": "<b>**no answer**</b>"})
    good = tmp_path / "sums.jsonl"
    good.write_text("\n".join(map(json.dumps, rows)))
    page.get_by_role("button", name="Remove").first.click()
    wait_for_app(page)
    upload(page, page.get_by_test_id("stFileUploaderDropzoneInput"), good)
    expect(page.get_by_text("9 questions", exact=True)).to_be_visible()
    expect(page.get_by_text("1 row left out")).to_be_visible()

    page.get_by_label("Prompt", exact=True).fill("1+1=2\n4+0=4\n{question}")
    page.keyboard.press("Tab")
    wait_for_app(page)
    page.get_by_role("button", name="Evaluate", exact=True).click()
    wait_for_map(page)
    expect(page.get_by_test_id("stMetric").filter(has_text="Accuracy")).to_be_visible()
    expect(page.get_by_text("No calibration is fitted to")).to_be_visible()
    expect(page.get_by_text("answers, all correct. You have 9").first).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Rows (CSV)").click()
    lines = list(csv.DictReader(saved.value.path().read_text(encoding="utf-8-sig").splitlines()))
    assert len(lines) >= 9
    link = page.url

    # The link opens the report again: its rows are kept, the file is not.
    page.goto("about:blank")
    page.goto(link)
    wait_for_map(page)
    expect(page.get_by_test_id("stMetric").filter(has_text="Accuracy")).to_be_visible()
    expect(page.get_by_text("Report on sums.jsonl, 9 rows")).to_be_visible()


def test_two_models_from_what_changed_to_a_calibration_in_use(page: Page, serve_app: Serve, tmp_path: Path) -> None:
    page.goto(serve_app("evaluate_app"))
    wait_for_map(page)
    main = page.get_by_test_id("stMain")
    expect(main.get_by_text("tuned against base")).to_be_visible()
    expect(main.get_by_text("McNemar's exact test: p")).to_be_visible()
    expect(page.get_by_role("combobox", name="Report on")).to_have_value("tuned")
    accuracy = page.get_by_test_id("stMetric").filter(has_text="Accuracy")
    before = accuracy.inner_text()

    # What flipped, and a bin, narrow the answers.
    page.get_by_role("button", name="Gained:").click()
    expect(main.get_by_text("Only gained: right only after")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(main.get_by_text("Only gained: right only after")).to_be_hidden()
    points = page.locator(".js-plotly-plot").first.locator(".scatterlayer .point")
    points.nth(points.count() // 2).click(force=True)
    expect(main.get_by_text("Only probability")).to_be_visible()
    wait_for_app(page)
    page.get_by_role("button", name="Show all").click()

    # A grade set by hand moves the figures, and can be taken back.
    wait_for_app(page)
    page.get_by_role("button", name="Count as").click()
    expect(main.get_by_text("1 grade set by hand.")).to_be_visible()
    expect(accuracy).not_to_have_text(before)
    page.get_by_role("button", name="Restore the rule's grade").click()
    expect(main.get_by_text("1 grade set by hand.")).to_be_hidden()

    # The map can be used from now on, and exported.
    page.get_by_role("radio", name="Recalibrated").click()
    page.get_by_role("button", name="Use for this model").click()
    expect(page.get_by_role("button", name="In use")).to_be_disabled()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export").click()
    made = calibration_in(saved.value.path().read_bytes())
    assert (made.n, made.weights, made.score) == (120, "tuned", "sum")

    # One page that opens without a server.
    with page.expect_download() as saved:
        page.get_by_role("button", name="Report (HTML)").click()
    report = tmp_path / "report.html"
    report.write_bytes(saved.value.path().read_bytes())
    page.goto(report.as_uri())
    expect(page.get_by_role("heading", name="tuned against base")).to_be_visible()
    expect(page.locator("svg").first).to_be_visible()
