"""Chat templates: Jinja programs of a model's makers, run by transformers' own renderer."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lib.imports import IMPORTING

if TYPE_CHECKING:
    from lib.tokenizer_build import Template


def render(template: Template, turns: Sequence[Mapping[str, str]]) -> str:
    """The prompt that the model reads for a chat; turns: of "role" and "content".

    Raises whatever the template raises. Foreign templates are rendered in the child process only.
    """
    with IMPORTING:
        from transformers.utils.chat_template_utils import render_jinja_template

    texts, _ = render_jinja_template(
        conversations=[list(turns)], chat_template=template.source, add_generation_prompt=True, **template.names
    )
    return str(texts[0])


def warm_up() -> None:
    """Import everything that rendering and failing to render import."""
    from lib.tokenizer_build import Template

    template = Template("{{ messages[0].content | tojson }}{{ strftime_now('%d') }}", {})
    render(template, [{"role": "user", "content": "a"}])
    for failing in ("{{ raise_exception('a') }}", "{% if %}", "{{ messages.a.b }}", "{{ 1 // 0 }}"):
        with contextlib.suppress(Exception):
            render(Template(failing, {}), [])
