"""The Evaluate page: a labelled file, what is wrong with it, the report, and the link back to it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

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
    expect(page.get_by_text("9 graded rows are too few to fit a calibration")).to_be_visible()
    expect(page.get_by_text("answers, all right; there are 9").first).to_be_visible()
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
    expect(page.get_by_text("Below: sums.jsonl, 9 rows")).to_be_visible()
