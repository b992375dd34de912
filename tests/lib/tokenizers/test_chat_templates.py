"""Chat templates get a message's content in the form they expect: a string or a list of parts."""

from __future__ import annotations

import json

import pytest

from lib.core.request import Message
from lib.models.tokenizer_files import foreign_tokenizer
from lib.tokenizers.built import Template
from lib.tokenizers.chat_templates import render
from tests.support import tiny

# As models for pictures write them.
_PARTS = (
    "{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}:{% else %}: {% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{ line['text'] }}"
    "{% elif line['type'] == 'image' %}<image>{% endif %}{% endfor %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
_SELECTED = (
    "{% for message in messages %}{{ message['role'] | capitalize }}: "
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] }}{% endfor %}"
    "{{ '\\n' }}{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
_INSISTING = (
    "{% for message in messages %}{% if message.content is string %}{{ raise_exception('a list, please') }}{% endif %}"
    "{{ message['role'] | capitalize }}: {{ message.content[0].text }}\n{% endfor %}Assistant:"
)
_USER_ONLY = (
    "{% for message in messages %}{{ message['role'] | capitalize }}: {% if message.role == 'user' %}"
    "{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}"
    "{% else %}{{ message.content }}{% endif %}{{ '\\n' }}{% endfor %}Assistant:"
)
_EITHER = (
    "{% for message in messages %}{{ message['role'] | capitalize }}: {% if message.content is string %}"
    "{{ message.content }}{% else %}{% for part in message.content %}[{{ part.text }}]{% endfor %}{% endif %}"
    "{{ '\\n' }}{% endfor %}Assistant:"
)
_TEXT = "{% for message in messages %}{{ message.role | capitalize }}: {{ message.content }}\n{% endfor %}Assistant:"
_TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What colour is 雪?"},
    {"role": "assistant", "content": "White."},
    {"role": "user", "content": "[{'type': 'text'}]"},
]
_EXPECTED = "System: Be brief.\nUser: What colour is 雪?\nAssistant: White.\nUser: [{'type': 'text'}]\nAssistant:"


@pytest.mark.parametrize("source", [_PARTS, _SELECTED, _INSISTING, _USER_ONLY, _EITHER, _TEXT])
def test_every_message_is_in_the_prompt(source: str) -> None:
    assert render(Template(source, {}), _TURNS) == _EXPECTED


@pytest.mark.parametrize("source", [_PARTS, _USER_ONLY, _TEXT])
def test_a_tokenizer_from_files_renders_the_same(source: str) -> None:
    spec = tiny.make_tokenizer().backend_tokenizer.to_str().encode()
    config = json.dumps({"chat_template": source}).encode()
    tokenizer = foreign_tokenizer({"tokenizer.json": spec, "tokenizer_config.json": config}, "mine")
    assert tokenizer.render is not None
    assert tokenizer.render([Message(turn["role"], turn["content"]) for turn in _TURNS]) == _EXPECTED


def test_a_template_that_rejects_a_role_still_raises() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}{% endfor %}"
    )
    with pytest.raises(Exception, match="no system"):
        render(Template(source, {}), _TURNS)
