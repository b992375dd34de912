from __future__ import annotations

import pickle

import pytest

from lib import errors
from lib.errors import CandorError

KINDS = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_of_one_tree_and_keeps_cause_and_remedy_apart(kind: type[CandorError]) -> None:
    error = kind("It broke.", "Mend it.")
    assert isinstance(error, CandorError)
    assert (error.cause, error.remedy, str(error)) == ("It broke.", "Mend it.", "It broke. Mend it.")
    assert str(kind("It broke.")) == "It broke."


@pytest.mark.parametrize("kind", KINDS)
def test_errors_travel_between_processes(kind: type[CandorError]) -> None:
    error = pickle.loads(pickle.dumps(kind("It broke.", "Mend it.")))
    assert (type(error), error.cause, error.remedy) == (kind, "It broke.", "Mend it.")


@pytest.mark.parametrize("kind", KINDS)
def test_the_tree_at_the_top_of_the_file_names_every_error(kind: type[CandorError]) -> None:
    assert kind.__name__ in (errors.__doc__ or "")
