"""Everything that can go wrong, as one tree.

CandorError
 ├── InvalidRequest      the caller asked for something that cannot be answered
 │    ├── TooLong        … because the prompt does not fit into the context
 │    └── InvalidPattern a regular expression that is none, or that takes too long
 ├── ModelUnavailable    no such model, no network, an unreadable directory
 │    └── MissingDependency
 ├── OutOfMemory         the model or the request would not fit
 ├── Busy                too many requests wait already
 ├── Cancelled           the caller took the request back
 ├── ServiceError        a service refused or failed
 ├── CapReached          the session's cap in calls or money
 ├── BadResponse            a response that is not what a service sends
 └── BadFile             stored bytes that are not what they claim to be

Each error says what happened (`cause`) and what to do next (`remedy`), in words meant for the person at the screen.
"""

from __future__ import annotations

from typing import Self


class CandorError(Exception):
    """An error with a cause and a remedy, both full sentences a user can act on.

    detail: internals such as a path or a server's address, "" for none; shown to the server's own user only.
    """

    detail = ""

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(f"{cause} {remedy}".strip())
        self.cause = cause
        self.remedy = remedy

    def with_detail(self, detail: str) -> Self:
        """The same with internals."""
        self.detail = detail
        return self

    def __reduce__(self) -> tuple[type[CandorError], tuple[object, ...]]:
        return type(self), (self.cause, self.remedy)


class InvalidRequest(CandorError):
    """The request itself cannot be answered: a parameter out of bounds, an empty or unencodable prompt."""


class TooLong(InvalidRequest):
    """The prompt does not fit into the model's context. tokens: how many it has; limit: how many fit."""

    def __init__(self, cause: str, remedy: str = "", tokens: int = 0, limit: int = 0) -> None:
        super().__init__(cause, remedy)
        self.tokens, self.limit = tokens, limit

    def __reduce__(self) -> tuple[type[CandorError], tuple[object, ...]]:
        return type(self), (self.cause, self.remedy, self.tokens, self.limit)


class InvalidPattern(InvalidRequest):
    """A reader's regular expression cannot be used."""


class ModelUnavailable(CandorError):
    """The model cannot be found, fetched or read."""


class MissingDependency(ModelUnavailable):
    """A library that the engine needs is not installed."""


class OutOfMemory(CandorError):
    """The model, or this request to it, would not fit in memory."""


class Busy(CandorError):
    """The queue in front of the model is full."""


class Cancelled(CandorError):
    """The request was cancelled before it finished."""


class ServiceError(CandorError):
    """A service refused or failed, or could not be reached.

    code: its own name for that. message: its own words, "" where it has none. statement: the statement of an IAM
    policy that would allow what was refused, as JSON to copy; "" where none would help.
    """

    def __init__(self, cause: str, remedy: str = "", code: str = "", message: str = "", statement: str = "") -> None:
        super().__init__(cause, remedy)
        self.code, self.message, self.statement = code, message, statement

    def __reduce__(self) -> tuple[type[CandorError], tuple[object, ...]]:
        return type(self), (self.cause, self.remedy, self.code, self.message, self.statement)


class CapReached(CandorError):
    """The next call would go beyond what the session may cost."""


class BadResponse(CandorError):
    """A response that is not what Custom Model Import sends. data: the response as it came, where it would be lost."""

    def __init__(self, cause: str, remedy: str = "", data: bytes = b"") -> None:
        super().__init__(cause, remedy)
        self.data = data

    def __reduce__(self) -> tuple[type[CandorError], tuple[object, ...]]:
        return type(self), (self.cause, self.remedy, self.data)


class BadFile(CandorError):
    """Stored bytes that cannot be read back: truncated, damaged, or from a newer version."""


def as_error(error: BaseException, doing: str) -> CandorError:
    """An error to show for whatever was raised, panics of native libraries included, which are no Exception.

    doing: what was going on, to follow "while". Raises KeyboardInterrupt and SystemExit again.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error
    if isinstance(error, CandorError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory(f"There was not enough memory while {doing}.", "Ask for less, or free some memory.")
    if not isinstance(error, Exception):
        return CandorError(f"A library failed while {doing}.", "Try another file, text or model.")
    return CandorError(f"Something went wrong inside Candor while {doing}.", "Try again; the log has the details.")
