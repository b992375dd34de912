"""What went wrong at Bedrock, in plain words."""

from __future__ import annotations

from lib.errors import CandorError, ServiceError

_WORDS = {
    "ModelNotReadyException": (
        "The model is asleep: Bedrock puts an imported model away when it is not used, and is now bringing it back.",
        "Try again in a minute or two; large models take longer.",
    ),
    "ThrottlingException": ("Bedrock gets too many requests from this account.", "Wait a moment and try again."),
    "ServiceUnavailableException": (
        "Bedrock has no room at the moment; this is not a quota of yours.", "Try again later, or in another region."
    ),
    "InternalServerException": ("Something went wrong inside Bedrock.", "Try again."),
    "ModelTimeoutException": (
        "The model took longer than Bedrock allows.", "Shorten the prompt or ask for fewer tokens."
    ),
    "ModelErrorException": ("The model failed on this request.", "Try again once; then try a shorter prompt."),
    "ModelStreamErrorException": ("The model failed while it was answering.", "Try again."),
    "ValidationException": (
        "Bedrock refuses the request.", "The model may not speak this format: choose another one beside the model."
    ),
    "ServiceQuotaExceededException": ("A quota of this account is used up.", "Ask AWS to raise it."),
    "AccessDeniedException": (
        "These credentials may not call this model.",
        "They need bedrock:InvokeModel on the model's ARN, and the ARN's account must be theirs.",
    ),
    "ResourceNotFoundException": (
        "There is no such model in this region.", "Check the ARN and the region; the model may have been deleted."
    ),
    "ExpiredTokenException": ("The credentials have expired.", "Log in again, for example with `aws sso login`."),
    "UnrecognizedClientException": ("AWS does not know these credentials.", "Check the access key and the profile."),
    "InvalidSignatureException": (
        "AWS rejects the request's signature.", "Check the secret key, and that this machine's clock is right."
    ),
}  # fmt: skip
_BROKE_OFF = ("The connection broke off before the answer was complete.", "Try again.")
_LOCAL = {
    "NoRegionError": ("No region is set.", "Give one beside the model, or set AWS_DEFAULT_REGION."),
    "NoCredentialsError": (
        "There are no AWS credentials on this machine.",
        "Log in with `aws configure` or `aws sso login`, or set AWS_PROFILE, and start Candor again.",
    ),
    "PartialCredentialsError": ("The AWS credentials are incomplete.", "Set both the access key and the secret key."),
    "ProfileNotFound": ("There is no such AWS profile.", "Choose one that `aws configure list-profiles` shows."),
    "EndpointConnectionError": (
        "Bedrock cannot be reached at this address.", "Check the network and the spelling of the region."
    ),
    "ConnectTimeoutError": ("Bedrock does not answer.", "Check the network, a proxy or a firewall."),
    "ReadTimeoutError": ("Bedrock took too long to answer.", "Try again, with fewer tokens."),
    "ResponseStreamingError": _BROKE_OFF,
    "IncompleteReadError": _BROKE_OFF,
    "ConnectionClosedError": _BROKE_OFF,
    "ProtocolError": _BROKE_OFF,
    "ChecksumMismatch": _BROKE_OFF,
    "TokenRetrievalError": ("The AWS login has expired.", "Log in again with `aws sso login`."),
    "SSOTokenLoadError": ("The AWS login has expired.", "Log in again with `aws sso login`."),
    "UnauthorizedSSOTokenError": ("The AWS login has expired.", "Log in again with `aws sso login`."),
    "InvalidRegionError": ("This is not the name of a region.", "A region looks like us-east-1."),
    "ParamValidationError": ("The model's ARN is not one that Bedrock takes.", "Copy it from the Bedrock console."),
}  # fmt: skip


def in_words(error: Exception) -> CandorError:
    """A `ServiceError` for what boto3 raised. The service's own message follows where it says more."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        name = type(error).__name__
        cause, remedy = _LOCAL.get(name, (f"The call failed on this machine: {name}.", "Check the AWS settings."))
        return _with(error, ServiceError(cause, remedy, name))
    found = response.get("Error") or {}
    code, message = str(found.get("Code") or ""), str(found.get("Message") or "")
    name = code[:1].upper() + code[1:]  # within a stream the first letter is small
    cause, remedy = _WORDS.get(name, (f"Bedrock answers {code or 'with an unknown error'}.", "Try again."))
    if (
        message and name in ("ValidationException", "ModelErrorException", "AccessDeniedException")
    ) or name not in _WORDS:
        cause = f"{cause} It says: {message}"
    return _with(error, ServiceError(cause, remedy, name))


def _with(cause: Exception, error: ServiceError) -> ServiceError:
    error.__cause__ = cause
    return error
