"""Errors of boto3 and AWS translated to ServiceError: one sentence of cause, one of remedy."""

from __future__ import annotations

import os
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

from lib.engines.bedrock.permissions import ACTIONS, as_json, statement
from lib.engines.remote.retry import Failure
from lib.errors import ServiceError

# Codes that decide what happens next.
COLD = "ModelNotReadyException"
THROTTLED = "ThrottlingException"
REFUSED = "ValidationException"
_TRANSIENT = frozenset({"ServiceUnavailableException", "InternalServerException", "EndpointConnectionError"})

_LOG_IN = "Log in again, with `aws sso login` or as you did before; then try again."
_EXPIRED = ("The AWS login has expired.", _LOG_IN)
_WORDS = {
    "ModelNotReadyException": (
        "The model is cold: Bedrock unloads an imported model that is not used, and is still loading it again.",
        "Try again in a few minutes. Large models take longer.",
    ),
    "ThrottlingException": (
        "Bedrock gets too many requests from this account.", "Wait a moment, or run fewer calls at once."
    ),
    "ServiceUnavailableException": (
        "Bedrock has no capacity right now; this is not one of your quotas.", "Try again later, or in another region."
    ),
    "InternalServerException": ("Something went wrong inside Bedrock.", "Try again."),
    "ModelTimeoutException": (
        "The model took longer than Bedrock allows.", "Shorten the prompt or lower max new tokens, and try again."
    ),
    "ModelErrorException": ("The model failed on this request.", "Try again once; then try a shorter prompt."),
    "ModelStreamErrorException": (
        "The model failed while it was answering.", "Try again. The partial answer is kept."
    ),
    "ValidationException": (
        "Bedrock refuses the request.",
        "If it is too long, shorten it. If the model doesn't take this format, choose another for the model.",
    ),
    "ServiceQuotaExceededException": (
        "A quota of this account is used up.", "Request more in the console, under Service Quotas, Amazon Bedrock."
    ),
    "AccessDeniedException": (
        "These credentials may not do this.", "Add the statement below to their policy, or choose another profile."
    ),
    "ResourceNotFoundException": (
        "There is no such model in this region.", "Check the ARN and the region; the model may have been deleted."
    ),
    "ExpiredTokenException": ("The credentials have expired.", _LOG_IN),
    "UnrecognizedClientException": (
        "AWS doesn't know these credentials.", "Check the access key, the session token and the profile."
    ),
    "InvalidSignatureException": (
        "AWS rejects the request's signature.", "Check the secret key, and that this machine's clock is right."
    ),
    "NoSuchBucket": ("The bucket with the model's files is gone.", "Enter the tokenizer's path beside the model."),
    "PermanentRedirect": (
        "The bucket with the model's files is in another region.", "Enter the tokenizer's path beside the model."
    ),
}  # fmt: skip
# Names that S3 and older services use for the same.
_ALIASES = {
    "AccessDenied": "AccessDeniedException",
    "AuthFailure": "UnrecognizedClientException",
    "ExpiredToken": "ExpiredTokenException",
    "RequestExpired": "InvalidSignatureException",
    "RequestTimeTooSkewed": "InvalidSignatureException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "InvalidAccessKeyId": "UnrecognizedClientException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SlowDown": "ThrottlingException",
    "TooManyRequestsException": "ThrottlingException",
}
_DENIED = {
    "InvokeModel": "These credentials may not call this model.",
    "InvokeModelWithResponseStream": "These credentials may not stream from this model.",
    "ListImportedModels": "These credentials may not list the account's imported models.",
    "GetImportedModel": "These credentials may not look this model up.",
    "GetObject": "These credentials may not read the model's files.",
}
_NOT_SET_UP = "Log in with `aws configure` or `aws sso login`, or set AWS_PROFILE; then try again."
_DROPPED = ("The connection dropped before the answer was complete.", "Try again.")
_LOCAL = {
    "NoRegionError": ("No region is set.", "Choose one beside the model, or set AWS_DEFAULT_REGION."),
    "NoCredentialsError": ("There are no AWS credentials on this machine.", _NOT_SET_UP),
    "PartialCredentialsError": ("The AWS credentials are incomplete.", "Set both the access key and the secret key."),
    "CredentialRetrievalError": (
        "The program or service that should supply the AWS credentials failed.", "Run it by hand to see why."
    ),
    "ProfileNotFound": ("There is no such AWS profile.", "Choose one that `aws configure list-profiles` shows."),
    "ConfigParseError": ("The AWS configuration file cannot be read.", "Fix it; `aws configure list` shows its path."),
    "EndpointConnectionError": (
        "Bedrock can't be reached at this address.", "Check the network, the region and the endpoint."
    ),
    "ConnectTimeoutError": ("Bedrock doesn't answer.", "Check the network, the proxy and the firewall."),
    "ProxyConnectionError": ("The proxy doesn't answer.", "Check HTTPS_PROXY, or add Bedrock's host to NO_PROXY."),
    "SSLError": (
        "The connection is not secure: its certificate is not trusted.", "If a proxy signs its own, set AWS_CA_BUNDLE."
    ),
    "ReadTimeoutError": ("Bedrock took too long to answer.", "Try again with fewer tokens."),
    "ResponseStreamingError": _DROPPED,
    "IncompleteReadError": _DROPPED,
    "ConnectionClosedError": _DROPPED,
    "ProtocolError": _DROPPED,
    "ChecksumMismatch": _DROPPED,
    "TokenRetrievalError": _EXPIRED,
    "SSOTokenLoadError": _EXPIRED,
    "UnauthorizedSSOTokenError": _EXPIRED,
    "LoginRefreshTokenExpired": _EXPIRED,
    "SSOError": _EXPIRED,
    "InvalidRegionError": ("This is not the name of a region.", "A region looks like us-east-1."),
    "FIPS": (
        "FIPS endpoints are on. They don't work with a custom endpoint, and some regions have none.",
        "Unset AWS_USE_FIPS_ENDPOINT and use_fips_endpoint in the AWS profile, or leave Endpoint empty.",
    ),
    "Dualstack": (
        "Dual-stack endpoints are on. They don't work with a custom endpoint, and some regions have none.",
        "Unset AWS_USE_DUALSTACK_ENDPOINT and use_dualstack_endpoint in the AWS profile, or leave Endpoint empty.",
    ),
    "Bearer": (
        "AWS_BEARER_TOKEN_BEDROCK is set, and boto3 sends an API key over https only. This endpoint uses http.",
        "Unset AWS_BEARER_TOKEN_BEDROCK, or use an endpoint that begins with https://.",
    ),
    "Header": (
        "The AWS credentials contain a line break or another character that can't be sent.",
        "Set the access key, the secret key and the session token again without it.",
    ),
    "UnicodeDecodeError": (
        "The AWS configuration file is not in UTF-8.", "Save it as UTF-8. In Windows PowerShell, `>` writes UTF-16."
    ),
    "HTTPClientError": (
        "The connection failed on this machine before AWS answered.",
        "Check the network, the endpoint, and the proxy in HTTPS_PROXY or HTTP_PROXY.",
    ),
    "ParamValidationError": ("Bedrock doesn't accept the model's ARN.", "Copy it from the Bedrock console."),
}  # fmt: skip
# Errors whose cause is clear only with the service's own message.
_QUOTED = ("ValidationException", "ModelErrorException", "ModelStreamErrorException", "ServiceQuotaExceededException")
_UNAUTHORIZED = re.compile(r"not authorized to perform:? ([\w-]+:\w+)(?: on resource:? \"?([^\s\"]+))?")
_NO_ADDRESS = re.compile(r"Invalid endpoint|IPv6 URL|Port ", re.IGNORECASE)
_MAX_QUOTE = 300  # characters of boto3's message
_UNREACHED = ("EndpointConnectionError", "ConnectTimeoutError")
# Some classes of botocore cover several problems; a word in the message tells which one it is.
_HAVE_SIGNS = ("EndpointProviderError", "EndpointVariantError", "InvalidEndpointConfigurationError", "HTTPClientError")
_SIGNS = (
    ("FIPS", re.compile("fips", re.IGNORECASE)),
    ("Dualstack", re.compile("dual-?stack", re.IGNORECASE)),
    ("Bearer", re.compile("bearer", re.IGNORECASE)),
    ("Header", re.compile("invalid header|header value", re.IGNORECASE)),
)
_MAX_SKEW = 240.0  # seconds between the clocks; AWS allows 300

# After these, the credentials have to be looked up again.
STALE = frozenset(
    {"ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException", "NoCredentialsError"}
    | {"PartialCredentialsError", "CredentialRetrievalError"}
    | {name for name, words in _LOCAL.items() if words is _EXPIRED}
)


def in_words(error: Exception, resource: str = "") -> ServiceError:
    """The ServiceError for an exception of boto3.

    resource: the ARN that the call was about, for the policy statement that would allow it.
    """
    response = getattr(error, "response", None)
    found = _remote_error(error, response, resource) if isinstance(response, dict) else _local_error(error)
    found.__cause__ = error
    return found


def _local_error(error: Exception) -> ServiceError:
    message = str(error).strip()
    for kind in type(error).__mro__:
        name = kind.__name__
        if sign := next((sign for sign, words in _SIGNS if words.search(message) and name in _HAVE_SIGNS), None):
            return ServiceError(*_LOCAL[sign], name)
        if name in _LOCAL:
            cause, remedy = _LOCAL[name]
            return ServiceError(cause, f"{remedy}{_overrides() if name in _UNREACHED else ''}", name)
        if name == "BotoCoreError":  # usually about an AWS setting; messages that may hold credentials are in _LOCAL
            quote = " ".join(message.split())[:_MAX_QUOTE].rstrip(".")
            return ServiceError(
                f"boto3 rejects the AWS settings on this machine: {quote}.",
                "Check the AWS profile and the environment variables that begin with AWS_.",
                type(error).__name__,
            )
        if name == "ValueError" and _NO_ADDRESS.search(message):
            named = " or ".join(_set("AWS_ENDPOINT_URL")) or "endpoint_url in the AWS profile"
            return ServiceError(
                "The endpoint is not a complete URL.",
                f"Begin it with http:// or https:// and check its port, in the Endpoint field or in {named}.",
                name,
            )
    why = error.strerror if isinstance(error, OSError) else ""
    return ServiceError(
        f"The call failed on this machine before it reached AWS{f': {why}' if why else ''}.",
        "Check the AWS profile, the environment variables that begin with AWS_, and the files they name.",
        type(error).__name__,
    ).with_detail(type(error).__name__)


def failure_of(error: ServiceError) -> Failure:
    """Why a call failed, as far as it decides whether to retry."""
    if error.code in _TRANSIENT:
        return Failure.TRANSIENT
    return {COLD: Failure.COLD, THROTTLED: Failure.THROTTLED}.get(error.code, Failure.PERMANENT)


def _set(prefix: str) -> list[str]:
    """The environment variables with this prefix that are set."""
    return sorted(name for name, value in os.environ.items() if name.startswith(prefix) and value.strip())


def _overrides() -> str:
    """Which variables change Bedrock's address, as a sentence; "" if none is set."""
    named = [name for prefix in ("AWS_ENDPOINT_URL", "AWS_USE_") for name in _set(prefix)]
    return f" These variables change the address: {', '.join(named)}." if named else ""


def _remote_error(error: Exception, response: dict[str, Any], resource: str) -> ServiceError:
    found = response.get("Error") or {}
    code, message = str(found.get("Code") or ""), str(found.get("Message") or "")
    name = code[:1].upper() + code[1:]  # within a stream, the first letter is lower case
    name = _ALIASES.get(name, name)
    operation = str(getattr(error, "operation_name", ""))
    cause, remedy = _WORDS.get(name, (f"AWS answered with {code or 'an unknown error'}.", "Try again."))
    policy = ""
    if name == "AccessDeniedException":
        cause, remedy, policy = _denied(operation, message, resource)
    elif name == "InvalidSignatureException" and (skew := _skew(response)):
        ahead = "ahead" if skew > 0 else "behind"
        cause = f"This machine's clock is {abs(skew) / 60:,.0f} minutes {ahead}, and AWS rejects its signatures."
        remedy = "Set the clock, for example with `timedatectl set-ntp true`; then try again."
    elif name == "ResourceNotFoundException" and operation == "ListImportedModels":
        cause, remedy = "Bedrock has no imported models in this region.", "Choose another region."
    if message and (name in _QUOTED or name not in _WORDS):
        cause = f"{cause} AWS says: {message}"
    return ServiceError(cause, remedy, name, message, policy)


def _denied(operation: str, message: str, resource: str) -> tuple[str, str, str]:
    """(cause, remedy, policy statement) for a call that was not allowed."""
    cause, remedy = _DENIED.get(operation, _WORDS["AccessDeniedException"][0]), _WORDS["AccessDeniedException"][1]
    if "explicit deny" in message:
        return cause, "A policy of the account denies it explicitly. Ask the account's administrator.", ""
    named = _UNAUTHORIZED.search(message)
    action = named[1] if named else ACTIONS.get(operation, "")
    if not action:
        return f"{cause} AWS says: {message}" if message else cause, "Choose another profile.", ""
    where = (named[2] if named else "") or resource
    return cause, remedy, as_json(statement(action, where))


def _skew(response: dict[str, Any]) -> float:
    """Seconds this machine's clock is ahead of the service's; 0 if that is not the reason for the refusal."""
    sent = (response.get("ResponseMetadata") or {}).get("HTTPHeaders", {}).get("date")
    try:
        theirs = parsedate_to_datetime(sent).timestamp()
    except (TypeError, ValueError):
        return 0.0
    ahead = time.time() - theirs
    return ahead if abs(ahead) > _MAX_SKEW else 0.0
