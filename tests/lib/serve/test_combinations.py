"""Every two settings of faults and switches meet at least once. `make soak` runs all combinations."""

from __future__ import annotations

from tests.support.serve_clients import Served
from tests.support.serve_combinations import ask, check, every_case, pairwise


def test_pairs_of_faults_and_switches(served: Served) -> None:
    cases = pairwise()
    assert 150 < len(cases) < 1000
    expected = {(case.form, case.operation): ask(served, case.form, case.operation) for case in every_case()
                if not case.faults and not case.switch[0]}  # fmt: skip
    problems = [f"{case}: {found}" for case in cases if (found := check(served, case, expected[case.form, case.operation]))]  # fmt: skip # noqa: E501
    assert problems == []
