"""Chat templates: Jinja programs that come with a model, rendered by transformers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lib.import_lock import IMPORTING

if TYPE_CHECKING:
    from lib.tokenizers.built import Template

_PROBE = "candorreadsthis"  # a word that no template contains


def render(template: Template, turns: Sequence[Mapping[str, str]], day: str | None = None) -> str:
    """Render a chat as the prompt that the model reads.

    turns: mappings with "role" and "content". The content is passed in the form that the template expects: a string, or
    a list with one text part, which templates of vision models may require.
    day: the date (ISO 8601) for a template that writes one; None for today, "" for none, as on a server that gives its
    templates no clock.

    Raises whatever the template raises. Render foreign templates in the child process only.
    """
    names = tuple(sorted(template.names.items()))
    in_parts = {role: _takes_parts(template.source, names, role) for role in {turn["role"] for turn in turns}}
    converted = [_turn(turn["role"], turn["content"], in_parts[turn["role"]]) for turn in turns]
    return _rendered(template.source, names, converted, day)


def writes_date(template: Template) -> bool:
    """Whether the prompt may depend on the date."""
    return "strftime_now" in template.source


@lru_cache(maxsize=256)
def _takes_parts(source: str, names: tuple[tuple[str, str], ...], role: str) -> bool:
    """Whether a template shows a role's text only if it is passed as a list of parts."""
    before = {"system": (), "user": (), "assistant": ("user",)}
    if role not in before:
        return _takes_parts(source, names, "user")
    beside = {"user": _takes_parts(source, names, "user")} if role != "user" else {}

    def shows(in_parts: bool) -> bool:
        turns = [_turn(each, "a", beside[each]) for each in before[role]]
        turns += [_turn(role, _PROBE, in_parts), *(_turn("user", "a", each) for each in beside.values())]
        with contextlib.suppress(Exception):  # a template may reject any input
            return _PROBE in _rendered(source, names, turns)
        return False

    return not shows(False) and shows(True)


def _turn(role: str, content: str, in_parts: bool) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": content}] if in_parts else content}


def _rendered(
    source: str, names: tuple[tuple[str, str], ...], turns: Sequence[Mapping[str, Any]], day: str | None = None
) -> str:
    with IMPORTING:
        from jinja2 import Undefined
        from transformers.utils.chat_template_utils import _compile_jinja_template, render_jinja_template

    if day is None:
        texts, _ = render_jinja_template(
            conversations=[list(turns)], chat_template=source, add_generation_prompt=True, **dict(names)
        )
        return str(texts[0])
    # The renderer takes no functions, so the compiled template is given its clock directly.
    clock = _clock(day) if day else Undefined(name="strftime_now")
    compiled = _compile_jinja_template(source)
    return str(
        compiled.render(
            messages=list(turns),
            tools=None,
            documents=None,
            add_generation_prompt=True,
            **dict(names),
            strftime_now=clock,
        )
    )


def _clock(day: str) -> Callable[[str], str]:
    moment = datetime.fromisoformat(day)
    return lambda form: moment.strftime(form)


def warm_up() -> None:
    """Import everything that rendering needs, including when it fails."""
    from lib.tokenizers.built import Template

    template = Template("{{ messages[0].content | tojson }}{{ strftime_now('%d') }}", {})
    render(template, [{"role": "user", "content": "a"}])
    for failing in ("{{ raise_exception('a') }}", "{% if %}", "{{ messages.a.b }}", "{{ 1 // 0 }}"):
        with contextlib.suppress(Exception):
            render(Template(failing, {}), [])
