"""Pure functions of tokens: surprisal, perplexity, rankings, alignment."""

from typing import NoReturn

from lib.moved import former_score


def __getattr__(name: str) -> NoReturn:
    raise former_score(name)
