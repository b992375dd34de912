"""Text that a page hands to Streamlit as markdown is a literal, or went through `components/shell/escaping.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PAGES = sorted([ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "components").rglob("*.py")])
# What reads markdown in its first argument, and in these whichever element they belong to.
READS = {
    *("markdown", "caption", "write", "error", "warning", "info", "success", "toast", "title", "header", "subheader"),
    *("badge", "metric", "button", "download_button", "form_submit_button", "link_button", "page_link", "checkbox"),
    *("toggle", "radio", "selectbox", "multiselect", "pills", "segmented_control", "slider", "select_slider"),
    *("number_input", "text_input", "text_area", "date_input", "file_uploader", "expander", "popover", "status"),
    *("spinner", "tabs", "progress", "dialog", "feedback", "chat_input"),
}
NAMED = frozenset({"label", "help", "body", "text", "caption"})
# What yields words of Candor's own, or numbers, from whatever it is given.
OWN = {
    *(
        "as_text",
        "as_lines",
        "bold",
        "in_markdown",
        "len",
        "budget",
        "formatting.count",
        "formatting.seconds",
        "formatting.percent",
    ),
    *(
        "formatting.nats",
        "formatting.signed",
        "formatting.bracket",
        "formatting.rank",
        "formatting.number",
        "formatting.size",
    ),
}
# Names that hold words of Candor's own, each looked at: the function, and the expression.
LOOKED_AT = {
    ("_diagram", "limits(right, percents=True)"),
    ("_diagram", "limits(wrong, percents=True)"),
    ("_diagram", "percent(right.value)"),
    ("_diagram", "percent(wrong.value)"),
    ("_downloads", "label"),
    ("_file", "SUMS"),
    ("_flips", "formatting.p_value(found.p_value)"),
    ("_flips", "name"),
    ("_flips", "name.split(':')[0]"),
    ("_headline", "' '.join(notes)"),
    ("_meaning", "_NOTHING[found.gate]"),
    ("_headline", "_TEXTS[name]"),
    ("_headline", "interval(each)"),
    ("_headline", "sentence(name)"),
    ("_headline", "whose"),
    ("grade_buttons", "by"),
    ("grade_buttons", "label"),
    ("other_prompts", "number"),
    ("_headline", "points(gap)"),
    ("_take_over", "limits(auroc)"),
    ("_unmatched", "hint"),
    ("grade_buttons", "grade"),
    ("_headline", "interval(auroc)"),
    ("_headline", "interval(found.accuracy, percents=True)"),
    ("_preview", "asked"),
    ("_preview", "repeated"),
    ("_one", "about"),
    ("_one", "label"),
    ("_empty", "SCRIPTS['explore']"),
    ("_edit", "label"),
    ("_saved_side", "label"),
    ("_forced", "at"),
    ("_forced", "of"),
    ("_forced", "what"),
    ("_prompts", "number"),
    ("warm_up_now", "assumed"),
    ("warm_up_now", "price"),
    ("keeping", "state"),
    ("_side", "label"),
    ("_how_to_get_another", "bedrock"),
    ("job_progress", "note"),
    ("_changes", "''.join((_marked(each.change, each.text) for each in changes(first.prompt, other.prompt)))"),
    ("_changes", "first.name"),
    ("_changes", "other.name"),
    ("_differences", "chance"),
    ("_differences", "difference"),
    ("_maps", "each.name"),
    ("ranking", "_BY[order].meaning"),
    ("stop_until_signed_in", "label"),
    ("_least_confident", "answer.span.first"),
    ("_least_confident", "answer.span.last"),
    ("summary", "' '.join((note for note in notes if note))"),
    ("_one_token", "_KINDS[kind]"),
    ("_one_token", "number"),
    ("_one_token", "where"),
    ("_one_token", "why"),
    ("_rename_and_reuse", "slot"),
    ("_parts", "own"),
    ("_prompts", "found.own"),
    ("what_if", "_again(found)"),
    ("what_if_here", "_in_words(sampling)"),
    ("pressed", "price"),
    ("pressed", "self.label"),
    ("batch_progress", "' · '.join(words)"),
    ("batch_progress", "(done + failed) / total"),
    ("mode_and_examples", "about"),
    ("show", "self.gone"),
    ("show", "self.title"),
    ("show_examples", "label"),
    ("show_job", "self.empty"),
    ("stop_button", "_dropped(job)"),
    ("stop_button", "stop"),
    ("what_became", "label"),
    ("_method", "METHODS[DEFAULT].label"),
    ("_method", "METHODS[chosen].label"),
    ("_method", "METHODS[chosen].needs_k"),
    ("_method", "k"),
    ("_send", "price"),
    ("_ask", "price"),
    ("answer_field", "price(plan)"),
    ("_saved", "about"),
    ("_threshold", "name"),
    ("_weights", "SCORINGS[name].in_sentence"),
    ("ask_beside", "label"),
    ("ask_beside", "price"),
}


def _shown(call: ast.Call) -> Iterator[ast.expr]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name not in READS or (isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) in ("log", "self")):
        return
    yield from call.args[:2] if name == "progress" else call.args[:1]
    yield from (each.value for each in call.keywords if each.arg in NAMED)


def _foreign(expression: ast.expr) -> Iterator[ast.expr]:
    """What of an expression may be anything."""
    match expression:
        case ast.Constant():
            return
        case ast.JoinedStr(values=parts):
            for part in parts:
                yield from _foreign(part)
        case ast.FormattedValue(format_spec=ast.JoinedStr(values=[ast.Constant(value=str(spec))])) if (
            spec[-1:] in ",df%"
        ):
            return
        case ast.FormattedValue(value=value):
            yield from _foreign(value)
        case ast.IfExp(body=one, orelse=other):
            yield from _foreign(one)
            yield from _foreign(other)
        case ast.BoolOp(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
            for part in parts:
                yield from _foreign(part)
        case ast.BinOp(left=one, op=ast.Add() | ast.Mult(), right=other):
            yield from _foreign(one)
            yield from _foreign(other)
        case ast.Call(func=function) if ast.unparse(function) in OWN:
            return
        case _:
            yield expression


def _functions(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Each call, with the name of the innermost function around it."""
    around = [(tree, "")]
    while around:
        node, name = around.pop()
        for child in ast.iter_child_nodes(node):
            inner = child.name if isinstance(child, ast.FunctionDef) else name
            if isinstance(child, ast.Call):
                yield inner, child
            around.append((child, inner))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_text_is_its_own_or_is_made_text(path: Path) -> None:
    found = {
        (function, ast.unparse(each))
        for function, call in _functions(ast.parse(path.read_text(encoding="utf-8")))
        for shown in _shown(call)
        for each in _foreign(shown)
        if not ast.unparse(each).isupper()  # a constant
    }
    assert not found - LOOKED_AT


def test_what_was_looked_at_is_there() -> None:
    found = {
        (function, ast.unparse(each))
        for path in PAGES
        for function, call in _functions(ast.parse(path.read_text(encoding="utf-8")))
        for shown in _shown(call)
        for each in _foreign(shown)
    }
    assert not LOOKED_AT - found


@pytest.mark.parametrize(
    "line", ["st.caption(name)", "st.tabs([name])", "st.button(f'Ask {name}')", "x.toast('a' + name)"]
)
def test_the_look_finds_what_is_not(line: str) -> None:
    (call,) = (call for _, call in _functions(ast.parse(line)) if ast.unparse(call).startswith(("st", "x")))
    assert [ast.unparse(each) for shown in _shown(call) for each in _foreign(shown)] == ["name"]
