"""Convert dictionaries, bytes and strings to JSON from the way Python prints them."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from lib.errors import BadResponse
from lib.segmentation.char_classes import encodable

_MOST_BYTES = 2_000_000  # parsed as Python, which takes far more memory than JSON
_TOKEN = re.compile(rb"""[bu]?'(?:[^'\\\n]|\\.)*+'?|[bu]?"(?:[^"\\\n]|\\.)*+"?|[{}\[\]()]""", re.DOTALL)
_WORD = re.compile(_TOKEN.pattern + rb"|\b(?:True|False|None|nan)\b|-?\binf\b", re.DOTALL)
_WORDS = {b"True": b"true", b"False": b"false", b"None": b"null", b"nan": b"null", b"inf": b"Infinity"}
_UNREAD = re.compile(rb"<(?:botocore|urllib3|aiobotocore)\.")
_LITERAL = re.compile(rb"""[bu]?'(?:[^'\\]|\\.)*+',?|[bu]?"(?:[^"\\]|\\.)*+",?""")
_CALLS = {"float64", "float32", "float16", "int64", "int32", "tensor", "OrderedDict", "defaultdict", "Decimal", "str_"}


class _Constants(ast.NodeTransformer):
    """Replaces `nan` and `inf` by their values, and calls such as `np.float64(-0.5)` by their argument."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.copy_location(ast.Constant(float(node.id)), node) if node.id in ("nan", "inf") else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in _CALLS and node.args:
            argument: ast.AST = self.visit(node.args[-1])
            return argument
        return ast.copy_location(ast.Constant(name), node)  # such as datetime.datetime(2026, 1, 1)


def end_of(text: bytes, start: int, stop: int) -> int:
    """The end of the dictionary that begins at `start`; -1 if it doesn't end before `stop`."""
    depth = 0
    for token in _TOKEN.finditer(text, start, stop):
        sign = token[0]
        if sign in (b"{", b"[", b"("):
            depth += 1
        elif sign in (b"}", b"]", b")"):
            depth -= 1
            if not depth:
                return token.end()
    return -1


def respelled(text: bytes) -> bytes:
    """A printed dictionary in JSON's spelling. The result is JSON if every value has a JSON type."""
    return _WORD.sub(_as_token, text)


def _as_token(found: re.Match[bytes]) -> bytes:
    token = found[0]
    if token[-1:] not in (b"'", b'"'):
        return b"-9999.0" if token == b"-inf" else _WORDS.get(token, token)
    inner = token.lstrip(b"bu")[1:-1]
    if b"\\" not in inner and b'"' not in inner:
        return b'"' + inner + b'"'
    try:
        value = ast.literal_eval(token.decode("utf-8", "replace"))
    except (SyntaxError, ValueError):
        return token
    return json.dumps(encodable(value if isinstance(value, str) else _spelled(value))).encode()


def as_json(text: bytes, spent: int) -> bytes:
    """Convert a printed dictionary to JSON with Python's own parser. Raises BadResponse.

    spent: bytes of the file parsed this way so far, including these.
    """
    if spent > _MOST_BYTES:
        raise BadResponse(
            f"More than {_MOST_BYTES / 1e6:.0f} MB of this Python output isn't plain dictionaries.",
            "Save the response with json.dumps.",
        )
    try:
        tree = ast.parse(text.decode("utf-8", "replace"), mode="eval")
        value = ast.literal_eval(_Constants().visit(tree))
        if isinstance(value, dict):
            return json.dumps(value, default=_spelled).encode()
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        pass
    if _UNREAD.search(text):
        raise BadResponse(
            "This is boto3's response as Python prints it; its body was not read.",
            "Save what response['body'].read() returns.",
        )
    raise BadResponse("This is not JSON but a program's output.", "Save the response with json.dumps.")


def _spelled(value: Any) -> Any:
    """Convert a value that JSON has no type for: bytes to the text they encode, anything else with `str`."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def unquoted(text: bytes, most: int) -> bytes | None:
    """Evaluate a text whose lines are all bytes or string literals of Python or JSON; None for other text.

    most: the largest number of lines to evaluate.
    """
    if not text.startswith((b"b'", b'b"', b"'", b'"')) or text.count(b"\n") > most:
        return None
    found: list[bytes] = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line:
            continue
        if not _LITERAL.fullmatch(line) or (value := _evaluated(line.removesuffix(b","))) is None:
            return None
        found.append(value)
    return b"\n".join(found)


def _evaluated(line: bytes) -> bytes | None:
    try:
        if line.startswith(b'"'):
            return str(json.loads(line)).encode("utf-8", "surrogatepass")
        value = ast.literal_eval(line.decode("utf-8", "replace"))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
