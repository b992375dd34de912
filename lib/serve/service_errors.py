"""The errors of the service: their names, statuses and messages."""

from __future__ import annotations

from typing import Any

from lib.errors import Busy, Cancelled, CandorError, InvalidRequest, OutOfMemory

_BUSY = "Too many requests, please wait before trying again."
# (status, message) by name. Source of names and statuses: botocore's model of Bedrock Runtime.
ERRORS: dict[str, tuple[int, str]] = {
    "ModelNotReadyException": (429, "Model is not ready for inference. Wait and try your request again."),
    "ThrottlingException": (429, _BUSY),
    "ServiceUnavailableException": (503, "The service is temporarily unavailable. Try again later."),
    "InternalServerException": (500, "An internal server error occurred. Retry your request."),
    "ModelTimeoutException": (408, "The request took too long to process. Processing time exceeded the model timeout."),
    "ModelErrorException": (424, "The request failed due to an error while processing the model."),
    "ModelStreamErrorException": (424, "An error occurred while streaming the response. Retry your request."),
    "ValidationException": (400, "The input fails to satisfy the constraints specified by Amazon Bedrock."),
    "ServiceQuotaExceededException": (400, "Your request exceeds the service quota for your account."),
    "AccessDeniedException": (403, "You don't have access to the model with the specified model ID."),
    "ResourceNotFoundException": (404, "The specified resource ARN was not found."),
    "ExpiredTokenException": (403, "The security token included in the request is expired"),
    "UnrecognizedClientException": (403, "The security token included in the request is invalid."),
    "InvalidSignatureException": (
        403, "The request signature we calculated does not match the signature you provided.",
    ),
    "MissingAuthenticationTokenException": (403, "Missing Authentication Token"),
    "UnknownOperationException": (404, "The requested operation is not recognized by the service."),
}  # fmt: skip
# Errors that a stream may end with.
IN_STREAM = (
    "InternalServerException",
    "ModelStreamErrorException",
    "ValidationException",
    "ThrottlingException",
    "ModelTimeoutException",
    "ServiceUnavailableException",
)


class Refusal(Exception):
    """An error response."""

    def __init__(self, code: str, message: str = "", **extra: Any) -> None:
        """message: "" for the usual one. extra: further fields of the body, such as originalStatusCode."""
        self.code = code
        self.status, usual = ERRORS[code]
        self.message = message or usual
        self.extra = extra
        super().__init__(f"{code}: {self.message}")

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the error."""
        return {"message": self.message, **self.extra}

    @property
    def event_type(self) -> str:
        """Its name in a stream, where the first letter is lower case."""
        return self.code[0].lower() + self.code[1:]


def refusal_for(code: str, message: str = "") -> Refusal:
    """An error with the fields that the service adds to it."""
    extra: dict[str, Any] = {}
    if code in ("ModelErrorException", "ModelStreamErrorException"):
        extra["originalStatusCode"] = 500
    if code == "ModelStreamErrorException":
        extra["originalMessage"] = message or ERRORS[code][1]
    return Refusal(code, message, **extra)


def in_service_words(error: Exception) -> Refusal:
    """The service's error for an error of the engine. Anything unforeseen is an internal error without details."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, InvalidRequest):
        return Refusal("ValidationException", error.cause)
    if isinstance(error, Busy):
        return Refusal("ThrottlingException")
    if isinstance(error, OutOfMemory):
        return refusal_for("ModelErrorException", error.cause)
    if isinstance(error, Cancelled):
        return Refusal("ServiceUnavailableException")
    if isinstance(error, CandorError):
        return refusal_for("ModelErrorException", error.cause)
    return Refusal("InternalServerException")
