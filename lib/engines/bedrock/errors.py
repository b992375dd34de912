"""What went wrong at AWS, in plain words: one sentence of cause, one of remedy."""

from __future__ import annotations

import os
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

from lib.engines.bedrock.permissions import ACTIONS, as_json, statement
from lib.errors import ServiceError

_LOG_IN = "Log in again, with `aws sso login` or as you did before; then try again."
_EXPIRED = ("The AWS login has expired.", _LOG_IN)
_WORDS = {
    "ModelNotReadyException": (
        "The model sleeps: Bedrock puts an imported model away when it is not used, and is still bringing it back.",
        "Try again in a few minutes; large models take longer.",
    ),
    "ThrottlingException": (
        "Bedrock gets too many requests from this account.", "Wait a moment, or let fewer calls run at once."
    ),
    "ServiceUnavailableException": (
        "Bedrock has no room at the moment; this is not a quota of yours.", "Try again later, or in another region."
    ),
    "InternalServerException": ("Something went wrong inside Bedrock.", "Try again."),
    "ModelTimeoutException": (
        "The model took longer than Bedrock allows.", "Shorten the prompt or ask for fewer tokens, and try again."
    ),
    "ModelErrorException": ("The model failed on this request.", "Try again once; then try a shorter prompt."),
    "ModelStreamErrorException": (
        "The model failed while it was answering.", "Try again; what had come is kept."
    ),
    "ValidationException": (
        "Bedrock refuses the request.",
        "Shorten it where it is too long; where the model does not speak this format, choose another beside the model.",
    ),
    "ServiceQuotaExceededException": (
        "A quota of this account is used up.", "Ask for more in the console, under Service Quotas, Amazon Bedrock."
    ),
    "AccessDeniedException": (
        "These credentials may not do this.", "Add the statement below to their policy, or choose another profile."
    ),
    "ResourceNotFoundException": (
        "There is no such model in this region.", "Check the ARN and the region; the model may have been deleted."
    ),
    "ExpiredTokenException": ("The credentials have expired.", _LOG_IN),
    "UnrecognizedClientException": (
        "AWS does not know these credentials.", "Check the access key, the session token and the profile."
    ),
    "InvalidSignatureException": (
        "AWS rejects the request's signature.", "Check the secret key, and that this machine's clock is right."
    ),
    "NoSuchBucket": ("The bucket with the model's files is gone.", "Give the tokenizer as a path beside the model."),
    "PermanentRedirect": (
        "The bucket with the model's files is in another region.", "Give the tokenizer as a path beside the model."
    ),
}  # fmt: skip
# Other names for the same, as S3 and the older services have them.
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
_BROKE_OFF = ("The connection broke off before the answer was complete.", "Try again.")
_LOCAL = {
    "NoRegionError": ("No region is set.", "Choose one beside the model, or set AWS_DEFAULT_REGION."),
    "NoCredentialsError": ("There are no AWS credentials on this machine.", _NOT_SET_UP),
    "PartialCredentialsError": ("The AWS credentials are incomplete.", "Set both the access key and the secret key."),
    "CredentialRetrievalError": (
        "The program or service that should give the AWS credentials did not.", "Run it by hand to see why."
    ),
    "ProfileNotFound": ("There is no such AWS profile.", "Choose one that `aws configure list-profiles` shows."),
    "ConfigParseError": ("The AWS configuration file cannot be read.", "Mend it; `aws configure list` says where."),
    "EndpointConnectionError": (
        "Bedrock cannot be reached at this address.", "Check the network, the region and the endpoint."
    ),
    "ConnectTimeoutError": ("Bedrock does not answer.", "Check the network, a proxy or a firewall."),
    "ProxyConnectionError": ("The proxy does not answer.", "Check HTTPS_PROXY, or add Bedrock's host to NO_PROXY."),
    "SSLError": (
        "The connection is not safe: the certificate is not known.", "Set AWS_CA_BUNDLE where a proxy signs its own."
    ),
    "ReadTimeoutError": ("Bedrock took too long to answer.", "Try again, with fewer tokens."),
    "ResponseStreamingError": _BROKE_OFF,
    "IncompleteReadError": _BROKE_OFF,
    "ConnectionClosedError": _BROKE_OFF,
    "ProtocolError": _BROKE_OFF,
    "ChecksumMismatch": _BROKE_OFF,
    "TokenRetrievalError": _EXPIRED,
    "SSOTokenLoadError": _EXPIRED,
    "UnauthorizedSSOTokenError": _EXPIRED,
    "LoginRefreshTokenExpired": _EXPIRED,
    "SSOError": _EXPIRED,
    "InvalidRegionError": ("This is not the name of a region.", "A region looks like us-east-1."),
    "FIPS": (
        "FIPS endpoints are on. They do not work with an endpoint of your own, and some regions have none.",
        "Unset AWS_USE_FIPS_ENDPOINT and use_fips_endpoint in the AWS profile, or leave Endpoint empty.",
    ),
    "Dualstack": (
        "Dual-stack endpoints are on. They do not work with an endpoint of your own, and some regions have none.",
        "Unset AWS_USE_DUALSTACK_ENDPOINT and use_dualstack_endpoint in the AWS profile, or leave Endpoint empty.",
    ),
    "Bearer": (
        "AWS_BEARER_TOKEN_BEDROCK is set, and boto3 sends an API key over https only. This endpoint is http.",
        "Unset AWS_BEARER_TOKEN_BEDROCK, or give an endpoint that begins with https://.",
    ),
    "Header": (
        "The AWS credentials contain a line break or another character that cannot be sent.",
        "Set the access key, the secret key and the session token again, without it.",
    ),
    "UnicodeDecodeError": (
        "The AWS configuration file is not in UTF-8.", "Save it as UTF-8. In Windows PowerShell, `>` writes UTF-16."
    ),
    "HTTPClientError": (
        "The connection failed on this machine before AWS answered.",
        "Check the network, the endpoint, and the proxy in HTTPS_PROXY or HTTP_PROXY.",
    ),
    "ParamValidationError": ("The model's ARN is not one that Bedrock takes.", "Copy it from the Bedrock console."),
}  # fmt: skip
# Their causes are clear only with the service's own words.
_SPEAKS = ("ValidationException", "ModelErrorException", "ModelStreamErrorException", "ServiceQuotaExceededException")
_REFUSED = re.compile(r"not authorized to perform:? ([\w-]+:\w+)(?: on resource:? \"?([^\s\"]+))?")
_NO_ADDRESS = re.compile(r"Invalid endpoint|IPv6 URL|Port ", re.IGNORECASE)
_LONGEST = 300  # characters of what boto3 says
_UNREACHED = ("EndpointConnectionError", "ConnectTimeoutError")
# What an error is about, by a sign in its message, of kinds of errors that are about several things.
_HAVE_SIGNS = ("EndpointProviderError", "EndpointVariantError", "InvalidEndpointConfigurationError", "HTTPClientError")
_SIGNS = (
    ("FIPS", re.compile("fips", re.IGNORECASE)),
    ("Dualstack", re.compile("dual-?stack", re.IGNORECASE)),
    ("Bearer", re.compile("bearer", re.IGNORECASE)),
    ("Header", re.compile("invalid header|header value", re.IGNORECASE)),
)
_SKEW = 240.0  # seconds; AWS allows 300

# After these the credentials have to be looked up again.
STALE = frozenset(
    {"ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException", "NoCredentialsError"}
    | {"PartialCredentialsError", "CredentialRetrievalError"}
    | {name for name, words in _LOCAL.items() if words is _EXPIRED}
)


def in_words(error: Exception, resource: str = "") -> ServiceError:
    """A `ServiceError` for what boto3 raised.

    resource: the ARN of what was asked for, for the statement that is missing where it was refused.
    """
    response = getattr(error, "response", None)
    found = _of_service(error, response, resource) if isinstance(response, dict) else _of_this_machine(error)
    found.__cause__ = error
    return found


def _of_this_machine(error: Exception) -> ServiceError:
    message = str(error).strip()
    for kind in type(error).__mro__:
        name = kind.__name__
        if sign := next((sign for sign, words in _SIGNS if words.search(message) and name in _HAVE_SIGNS), None):
            return ServiceError(*_LOCAL[sign], name)
        if name in _LOCAL:
            cause, remedy = _LOCAL[name]
            return ServiceError(cause, f"{remedy}{_also() if name in _UNREACHED else ''}", name)
        if name == "BotoCoreError":  # of an AWS setting, as a rule; what may hold credentials is in _LOCAL
            said = " ".join(message.split())[:_LONGEST].rstrip(".")
            return ServiceError(
                f"boto3 rejects the AWS settings on this machine: {said}.",
                "Check the AWS profile and the variables that begin with AWS_.",
                type(error).__name__,
            )
        if name == "ValueError" and _NO_ADDRESS.search(message):
            named = " or ".join(_set("AWS_ENDPOINT_URL")) or "endpoint_url in the AWS profile"
            return ServiceError(
                "The endpoint is not a complete URL.",
                f"Begin it with http:// or https:// and check its port: in the field Endpoint, or in {named}.",
                name,
            )
    why = error.strerror if isinstance(error, OSError) else ""
    return ServiceError(
        f"The call failed on this machine before AWS was asked{f': {why}' if why else ''}.",
        "Check the AWS profile, the variables that begin with AWS_, and the files that they name.",
        type(error).__name__,
    ).with_detail(type(error).__name__)


def _set(beginning: str) -> list[str]:
    """The environment's variables with that beginning that are set."""
    return sorted(name for name, value in os.environ.items() if name.startswith(beginning) and value.strip())


def _also() -> str:
    """Which variables send calls elsewhere than Bedrock's usual address."""
    named = [name for beginning in ("AWS_ENDPOINT_URL", "AWS_USE_") for name in _set(beginning)]
    return f" These variables change the address: {', '.join(named)}." if named else ""


def _of_service(error: Exception, response: dict[str, Any], resource: str) -> ServiceError:
    found = response.get("Error") or {}
    code, message = str(found.get("Code") or ""), str(found.get("Message") or "")
    name = code[:1].upper() + code[1:]  # within a stream the first letter is small
    name = _ALIASES.get(name, name)
    operation = str(getattr(error, "operation_name", ""))
    cause, remedy = _WORDS.get(name, (f"AWS answers {code or 'with an unknown error'}.", "Try again."))
    policy = ""
    if name == "AccessDeniedException":
        cause, remedy, policy = _denied(operation, message, resource)
    elif name == "InvalidSignatureException" and (skew := _skew(response)):
        ahead = "ahead" if skew > 0 else "behind"
        cause = f"This machine's clock is {abs(skew) / 60:,.0f} minutes {ahead}, and AWS rejects its signatures."
        remedy = "Set the clock right, for example with `timedatectl set-ntp true`; then try again."
    elif name == "ResourceNotFoundException" and operation == "ListImportedModels":
        cause, remedy = "Bedrock has no imported models in this region.", "Choose another region."
    if message and (name in _SPEAKS or name not in _WORDS):
        cause = f"{cause} It says: {message}"
    return ServiceError(cause, remedy, name, message, policy)


def _denied(operation: str, message: str, resource: str) -> tuple[str, str, str]:
    """(cause, remedy, statement) of what was not allowed."""
    cause, remedy = _DENIED.get(operation, _WORDS["AccessDeniedException"][0]), _WORDS["AccessDeniedException"][1]
    if "explicit deny" in message:
        return cause, "A policy of the account denies it explicitly: ask whoever runs the account.", ""
    named = _REFUSED.search(message)
    action = named[1] if named else ACTIONS.get(operation, "")
    if not action:
        return f"{cause} It says: {message}" if message else cause, "Choose another profile.", ""
    where = (named[2] if named else "") or resource
    return cause, remedy, as_json(statement(action, where))


def _skew(response: dict[str, Any]) -> float:
    """Seconds that this machine's clock is ahead of the service's; 0 where that is not why it refused."""
    sent = (response.get("ResponseMetadata") or {}).get("HTTPHeaders", {}).get("date")
    try:
        theirs = parsedate_to_datetime(sent).timestamp()
    except (TypeError, ValueError):
        return 0.0
    ahead = time.time() - theirs
    return ahead if abs(ahead) > _SKEW else 0.0
