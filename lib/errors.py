"""All errors of Candor, as one tree.

CandorError
 ├── InvalidRequest      a request that cannot be answered
 │    ├── TooLong        the prompt does not fit into the context
 │    └── InvalidPattern an invalid or slow regular expression
 ├── ModelUnavailable    no such model, no network, an unreadable directory
 │    └── MissingDependency
 ├── OutOfMemory         the model or the request does not fit in memory
 ├── Busy                too many requests are waiting
 ├── Cancelled           the caller cancelled the request
 ├── ServiceError        a service refused or failed
 ├── CapReached          the session's cap on calls or spend
 ├── BadResponse         a response in no known format
 └── BadFile             a file that is damaged or of another format

Each error says what happened (`cause`) and what to do next (`remedy`), in words for the person at the screen.
"""

from __future__ import annotations

from typing import Self


class CandorError(Exception):
    """An error with a cause and a remedy, both full sentences for the user."""

    detail = ""  # internals such as a path or a server's address, shown only to the server's own user; "" for none

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(f"{cause} {remedy}".strip())
        self.cause = cause
        self.remedy = remedy

    def with_detail(self, detail: str) -> Self:
        """Set the detail and return the error."""
        self.detail = detail
        return self

    def __reduce__(self) -> tuple[type[CandorError], tuple[object, ...]]:
        return type(self), (self.cause, self.remedy)


class InvalidRequest(CandorError):
    """The request cannot be answered, such as a parameter out of bounds or an empty prompt."""


class TooLong(InvalidRequest):
    """The prompt does not fit into the model's context. tokens: its length; limit: the tokens that fit."""

    def __init__(self, cause: str, remedy: str = "", tokens: int = 0, limit: int = 0) -> None:
        super().__init__(cause, remedy)
        self.tokens, self.limit = tokens, limit

    def __reduce__(self) -> tuple[type[CandorError], tuple[object, ...]]:
        return type(self), (self.cause, self.remedy, self.tokens, self.limit)


class InvalidPattern(InvalidRequest):
    """The user's regular expression cannot be used."""


class ModelUnavailable(CandorError):
    """The model cannot be found, downloaded or read."""


class MissingDependency(ModelUnavailable):
    """A library the engine needs is not installed."""


class OutOfMemory(CandorError):
    """The model, or a request to it, does not fit in memory."""


class Busy(CandorError):
    """The model's queue is full."""


class Cancelled(CandorError):
    """The request was cancelled before it finished."""


class ServiceError(CandorError):
    """A service refused or failed, or could not be reached.

    code: the service's error code; "" if unknown.
    message: the service's own message; "" if it sent none.
    statement: an IAM policy statement, as JSON, that would allow the call; "" if none would help.
    """

    def __init__(self, cause: str, remedy: str = "", code: str = "", message: str = "", statement: str = "") -> None:
        super().__init__(cause, remedy)
        self.code, self.message, self.statement = code, message, statement

    def __reduce__(self) -> tuple[type[CandorError], tuple[object, ...]]:
        return type(self), (self.cause, self.remedy, self.code, self.message, self.statement)


class CapReached(CandorError):
    """The next call would exceed a cap of the session."""


class BadResponse(CandorError):
    """A response in no known format. data: its bytes, so that they are not lost; empty if saved elsewhere."""

    def __init__(self, cause: str, remedy: str = "", data: bytes = b"") -> None:
        super().__init__(cause, remedy)
        self.data = data

    def __reduce__(self) -> tuple[type[CandorError], tuple[object, ...]]:
        return type(self), (self.cause, self.remedy, self.data)


class BadFile(CandorError):
    """A file that cannot be read: truncated, damaged, or from a newer version."""


def as_error(error: BaseException, doing: str) -> CandorError:
    """The error to show for any exception, including panics of native libraries, which are not an `Exception`.

    Re-raises KeyboardInterrupt and SystemExit.

    doing: what was in progress, to follow "while".
    """
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error
    if isinstance(error, CandorError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory(f"There was not enough memory while {doing}.", "Reduce the request, or free some memory.")
    if not isinstance(error, Exception):
        return CandorError(f"A library failed while {doing}.", "Try another file, text or model.")
    return CandorError(f"Something went wrong inside Candor while {doing}.", "Try again; the log has the details.")
