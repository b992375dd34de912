"""What Python prints of dictionaries, bytes and strings, as JSON."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from lib.errors import BadResponse
from lib.segmentation.char_classes import encodable

_MOST_BYTES = 2_000_000  # that are read as Python, which takes far more memory than JSON
_TOKEN = re.compile(rb"""[bu]?'(?:[^'\\\n]|\\.)*+'?|[bu]?"(?:[^"\\\n]|\\.)*+"?|[{}\[\]()]""", re.DOTALL)
_WORD = re.compile(_TOKEN.pattern + rb"|\b(?:True|False|None|nan)\b|-?\binf\b", re.DOTALL)
_WORDS = {b"True": b"true", b"False": b"false", b"None": b"null", b"nan": b"null", b"inf": b"Infinity"}
_UNREAD = re.compile(rb"<(?:botocore|urllib3|aiobotocore)\.")
_LITERAL = re.compile(rb"""[bu]?'(?:[^'\\]|\\.)*+',?|[bu]?"(?:[^"\\]|\\.)*+",?""")
_CALLS = {"float64", "float32", "float16", "int64", "int32", "tensor", "OrderedDict", "defaultdict", "Decimal", "str_"}


class _Constants(ast.NodeTransformer):
    """Gives `nan` and `inf` their values, and calls such as `np.float64(-0.5)` that of what they hold."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.copy_location(ast.Constant(float(node.id)), node) if node.id in ("nan", "inf") else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in _CALLS and node.args:
            held: ast.AST = self.visit(node.args[-1])
            return held
        return ast.copy_location(ast.Constant(name), node)  # such as datetime.datetime(2026, 1, 1)


def end_of(text: bytes, start: int, stop: int) -> int:
    """Where the dictionary that begins at `start` ends; -1 where it does not before `stop`."""
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
    """A printed dictionary in JSON's spelling. It is JSON where the dictionary holds nothing that JSON has not."""
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
    """A printed dictionary as JSON, as Python itself reads it. spent: bytes of the file that were read so, with these.

    Raises BadResponse.
    """
    if spent > _MOST_BYTES:
        raise BadResponse(
            f"More than {_MOST_BYTES / 1e6:.0f} MB of what Python printed is no plain dictionary.",
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
    raise BadResponse("This is not JSON, but what a program printed.", "Save the response with json.dumps.")


def _spelled(value: Any) -> Any:
    """What JSON has no type for: bytes are the text they hold."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def unquoted(text: bytes, most: int) -> bytes | None:
    """Lines that are bytes or strings as Python or JSON write them, as the text they hold; None for other text.

    most: lines that are looked at.
    """
    if not text.startswith((b"b'", b'b"', b"'", b'"')) or text.count(b"\n") > most:
        return None
    found: list[bytes] = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line:
            continue
        if not _LITERAL.fullmatch(line) or (held := _held(line.removesuffix(b","))) is None:
            return None
        found.append(held)
    return b"\n".join(found)


def _held(line: bytes) -> bytes | None:
    try:
        if line.startswith(b'"'):
            return str(json.loads(line)).encode("utf-8", "surrogatepass")
        value = ast.literal_eval(line.decode("utf-8", "replace"))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
