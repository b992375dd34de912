"""A whole page: its plan, its form, its view of the results, and the page itself."""

from dataclasses import dataclass
from typing import ClassVar

import streamlit as st

from components.jobs.asking_page import Asked, AskingPage, planned
from components.jobs.form import AskButton, price_of
from lib.core.request import Request
from lib.core.sources import Source
from lib.jobs.batch import Batch
from lib.jobs.call import Call
from lib.jobs.plan import Plan


@dataclass(frozen=True)
class TwicePlan:
    kind: ClassVar[str] = "twice"
    page: ClassVar[str] = "twice"
    source: Source
    text: str

    def calls(self) -> tuple[Call, ...]:
        return tuple(Call(self.source, Request(f"{self.text}{end}")) for end in "!?")

    def title(self) -> str:
        return self.text


def form(before: Plan | None, source: Source) -> Asked:
    plan = planned(lambda: TwicePlan(source, st.text_input("Text", "Hello", key="twice.text")))
    return plan if AskButton("twice", "Ask twice", ":material/repeat:").pressed(price_of(plan)) else None


def results(job: object, batch: Batch) -> None:
    st.write(" · ".join(each.text for each in batch.completions))


TWICE = AskingPage("twice", "What does it say twice?", form, results, "Ask.", "Gone.")
