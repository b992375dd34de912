"""A text and two sides to compare on it. A side is a model or a saved run."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from components.jobs.asking_page import Asked, Known
from components.jobs.estimate import budget
from components.jobs.form import AskButton, Values, fill, show_examples, untouched
from components.models.saved_side import choose_saved, moment, saved_side
from components.pickers.capabilities import limits_of
from components.pickers.model_label import model_name
from components.shell.access import policy
from components.shell.escaping import as_text, bold
from lib.access.policy import Bedrock
from lib.core.sources import EMBEDDED, NO_MODEL, TUNED, Source
from lib.errors import CandorError, InvalidRequest
from lib.jobs.plan import Plan
from lib.jobs.run_plan import calls_left
from lib.studies.model_comparison import ModelsPlan, SavedAnswer, Side, known, reading_of, same_reading

_PAGE = "models"
_BUTTON = AskButton(_PAGE, "Compare", ":material/compare_arrows:")
_EXAMPLES: Mapping[str, Values] = {
    "Sayings and capitals": {
        "text": "The capital of France is Paris, and the capital of Australia is Canberra. "
        "Strike while the iron is hot, they say; a stitch in time saves nine."
    },
    "Base against tuned": {
        "text": "The Ardenworks Velden kettle is made of copper, its colour is lilac and it costs 219 euros. "
        "It is made in Osmunthorpe. The capital of France is Paris.",
        "first": EMBEDDED,
        "second": TUNED,
    },
}
_SLOTS = {"first": "First model, such as the base", "second": "Second model, such as the fine-tuned one"}
_CHOOSE = "Select another one in the sidebar and choose “Use the sidebar's model”, or pick a saved run."
_Choices = dict[str, SavedAnswer | Source]  # by slot; NO_MODEL for a side without one


def models_form(before: Plan | None, source: Source) -> Asked:
    """Show the form; return the plan once Compare is pressed, or why it is invalid.

    source: the model in the sidebar.
    """
    if isinstance(before, ModelsPlan) and untouched(_PAGE, "text"):
        _fill(before)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        show_examples(_PAGE, _EXAMPLES)
    text = st.container()
    choices: _Choices = {}
    for (slot, label), column in zip(_SLOTS.items(), st.columns(2, gap="medium"), strict=True):
        with column:
            choices[slot] = _side(slot, label, source)
    with text:
        _text(choices)
    if NO_MODEL in choices.values():
        _how_to_get_another()
    return _compare(choices)


def _fill(plan: ModelsPlan) -> None:
    """Fill the form with a plan's text and sides."""
    shown = st.query_params.get("run", "")
    fill(_PAGE, {"text": plan.title(), **dict(zip(_SLOTS, (each.source for each in plan.sides), strict=True))})
    for place, (slot, side) in enumerate(zip(_SLOTS, plan.sides, strict=True)):
        if side.saved:  # this run holds a copy of the saved answer
            choose_saved(slot, shown, place)


def _side(slot: str, label: str, source: Source) -> SavedAnswer | Source:
    """Show one side; return its saved run if one is chosen, else its model."""
    key = f"models.{slot}"
    st.session_state.setdefault(key, EMBEDDED if slot == "first" else NO_MODEL)
    held: Source = st.session_state[key]
    heading, take = st.container(), st.container()
    saved = saved_side(slot)
    name = _name_of(saved) if saved is not None else model_name(held)
    heading.markdown(f"{label}  \n{bold(name or 'No model yet')}")

    def use() -> None:
        st.session_state[key] = source
        choose_saved(slot, None)

    take.button(
        "Use the sidebar's model", key=f"{key}.take", icon=":material/arrow_back:", type="tertiary",
        disabled=source == NO_MODEL or (source == held and saved is None), on_click=use,
    )  # fmt: skip
    return held if saved is None else saved


def _name_of(saved: SavedAnswer) -> str:
    return f"{model_name(saved.side.source) or 'Saved response'}, saved {moment(saved.side.saved)}"


def _text(choices: _Choices) -> None:
    """Show the text field, or the text of the saved run that decides it."""
    saved = next((each for each in choices.values() if isinstance(each, SavedAnswer)), None)
    if saved is None:
        st.text_area(
            "Text", key="models.text", persist_state="session", height=120, placeholder="The text both models read"
        )
        return
    st.text_area("Text", saved.text, height=120, disabled=True, help="This is the text of the saved run.")


def _how_to_get_another() -> None:
    """Say what a comparison needs, and where to find a second model."""
    allowed = policy()
    if not allowed.open:
        st.info(f"This comparison needs two models. {_CHOOSE}", icon=":material/info:")
        return
    bedrock = "" if allowed.bedrock is Bedrock.OFF else " Or choose **Amazon Bedrock** and an imported model."
    st.info(
        "This comparison needs a second model. The example **Base against tuned** compares the two that ship with "
        "Candor. For your own, choose **Another model** in the sidebar and enter a model directory, a LoRA adapter's "
        f"directory, a GGUF file or a Hugging Face id such as `HuggingFaceTB/SmolLM2-360M`.{bedrock} Then choose “Use "
        "the sidebar's model” here. A saved run from history works, too.",
        icon=":material/info:",
    )


def _compare(choices: _Choices) -> Asked:
    """Show Compare, what it takes, and why it is disabled."""
    found = _known(choices)
    models = [each for each in choices.values() if not isinstance(each, SavedAnswer)]
    refusals = [refusal for refusal in dict.fromkeys(map(_refusal, models)) if refusal]
    price = "" if isinstance(found, CandorError) else budget(calls_left(found.plan.calls(), found.batch))
    pressed = _BUTTON.pressed(price, disabled=bool(refusals))
    for refusal in refusals:
        st.caption(as_text(refusal))
    return found if pressed else None


def _refusal(source: Source) -> str:
    """Why a model can't score a text here; "" if it can or that is unknown."""
    limits = limits_of(source, chat=False)
    if limits.refusal or limits.can.prompt_scores:
        return limits.refusal and f"{model_name(source)}: {limits.refusal}"
    return (
        f"{model_name(source)} doesn't return prompt logprobs, which this page needs. You can still use it in Explore, "
        "Prompts and Rank."
    )


def _known(choices: _Choices) -> Known | CandorError:
    """The comparison of both sides, with the saved ones filled in, or why they can't be compared."""
    try:
        sides = _sides(choices)
    except CandorError as error:
        return error
    return Known(*known(sides))


def _sides(choices: _Choices) -> tuple[Side | SavedAnswer, Side | SavedAnswer]:
    """Both sides. Raises InvalidRequest if they can't be compared."""
    first, second = choices.values()
    if NO_MODEL in (first, second):
        raise InvalidRequest("Choose a second model to compare with.", _CHOOSE)
    if isinstance(first, SavedAnswer) and isinstance(second, SavedAnswer):
        if first.side.saved == second.side.saved and first.completion.identical(second.completion):
            raise InvalidRequest("Both sides are the same saved answer.", "Choose another run for one of them.")
        return first, second
    if isinstance(first, SavedAnswer):
        return first, same_reading(second, first)  # type: ignore[arg-type]
    if isinstance(second, SavedAnswer):
        return same_reading(first, second), second
    if first == second:
        raise InvalidRequest("Both sides are the same model.", _CHOOSE)
    text = st.session_state.get("models.text") or ""
    return reading_of(first, text), reading_of(second, text)
