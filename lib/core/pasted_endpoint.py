"""Extract an endpoint from pasted text, and explain what was pasted if it is something else."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from lib.core.pasted_text import AROUND, CONSOLE, tidied
from lib.errors import InvalidRequest
from lib.hosts import is_loopback

# Host suffixes of all AWS partitions, from botocore's partitions.json.
OF_AWS = (
    *(".amazonaws.com", ".api.aws", ".amazonaws.com.cn", ".api.amazonwebservices.com.cn", ".amazonaws.eu"),
    *(".api.amazonwebservices.eu", ".c2s.ic.gov", ".api.aws.ic.gov", ".sc2s.sgov.gov", ".api.aws.scloud"),
    *(".cloud.adc-e.uk", ".api.cloud-aws.adc-e.uk", ".csp.hci.ic.gov", ".api.aws.hci.ic.gov"),
)
_SHOWN = 80  # characters of the pasted text in an error
_AROUND_ENDPOINTS = AROUND.replace("[", "").replace("]", "")
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+){1,2}-\d", re.IGNORECASE)
_TO_AWS = "Leave Endpoint empty to call AWS."
_HOW = "Use the form http://127.0.0.1:9911, with only letters, digits, hyphens and dots in the host."
# Paths that clients append to an endpoint.
_OPERATIONS = re.compile(r"/(?:model/.*|imported-models?(?:/.*)?|(?:openai/)?v1/.+|openai(?:/v1)?/?)$")


def as_endpoint(pasted: str) -> str:
    """Extract an endpoint (scheme, host, port and path) from pasted text; "" if the text is blank.

    Without a scheme, this machine gets http and AWS hosts get https. Raises InvalidRequest if the text is not an
    endpoint or needs a scheme.
    """
    text = _without_assignment(pasted)
    if not text:
        return ""
    scheme, rest = _scheme_of(text)
    shown = f"“{text[:_SHOWN]}”"
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidRequest(f"{shown} is not an endpoint.", _HOW) from None
    _refuse_mistakes(parts)
    if not scheme and port is None and _REGION.fullmatch(rest.strip("/")):
        raise InvalidRequest(f"{shown} is a region.", f"Choose it under Region. {_TO_AWS}")
    host = _ascii_host(host)
    scheme = scheme or _usual_scheme(host, port)
    if host and not scheme:
        raise InvalidRequest(f"{shown} has no scheme.", "Put http:// or https:// in front of it.")
    place = f"[{host}]" if ":" in host else host
    path = _OPERATIONS.sub("", parts.path).rstrip("/")
    if path == "/v1" and is_loopback(host):  # the OpenAI API that local servers also offer
        path = ""
    endpoint = f"{scheme}://{place}{'' if port is None else f':{port}'}{path}"
    if not _is_valid(endpoint) or re.search(r"\s", endpoint) or parts.query or parts.fragment:
        raise InvalidRequest(f"{shown} is not an endpoint.", _HOW)
    return endpoint


def _without_assignment(pasted: str) -> str:
    """The endpoint alone, without the shell assignment or option it was pasted with."""
    text = re.sub(r"\s*[\r\n]\s*", "", tidied(pasted, _AROUND_ENDPOINTS))
    text = re.sub(r"^(?:export\s+)?-*\w*endpoint[\w-]*(?:\s*=\s*|\s+)", "", text, flags=re.IGNORECASE)
    text = text.strip(_AROUND_ENDPOINTS + " ")
    if ":" in text and is_loopback(text):  # IPv6 without the brackets that separate it from a port
        text = f"[{text.strip('[]')}]"
    return text


def _refuse_mistakes(parts: SplitResult) -> None:
    """Raise InvalidRequest for URLs that are often pasted by mistake."""
    if parts.username is not None or parts.password is not None:
        raise InvalidRequest(
            "The endpoint contains a user name or a password.", "Remove it. Credentials come from your AWS settings."
        )
    if CONSOLE.search(parts.hostname or ""):
        raise InvalidRequest("This is the address of a page in the AWS console.", _TO_AWS)


def _ascii_host(host: str) -> str:
    """The host in IDNA encoding; "" if it has none."""
    try:
        return host if ":" in host else host.encode("idna").decode()
    except UnicodeError:
        return ""


def _scheme_of(text: str) -> tuple[str, str]:
    """Split off the scheme: (scheme, rest). The scheme is "" if it is missing or the colon follows a host."""
    if web := re.match(r"(https?):[/\\]*", text, re.IGNORECASE):
        return web[1].lower(), text[web.end() :]
    if re.match(r"arn:", text, re.IGNORECASE):
        raise InvalidRequest("This is an ARN, not an endpoint.", "Paste it as the ARN of the imported model.")
    if other := re.match(r"([a-z][a-z0-9+.-]*)://", text, re.IGNORECASE):
        raise InvalidRequest(f"An endpoint cannot start with {other[1].lower()}://.", _HOW)
    return "", text.lstrip("/")


def _usual_scheme(host: str, port: int | None) -> str:
    if is_loopback(host) or host.endswith(".localhost") or host == "0.0.0.0":  # noqa: S104 - servers print it
        return "http"
    if host.endswith(OF_AWS) or port == 443:
        return "https"
    return "https" if port is None and re.search(r"\.[a-z-]{2,}$", host) else ""


def _is_valid(endpoint: str) -> bool:
    """Whether boto3 accepts the endpoint."""
    from botocore.utils import is_valid_endpoint_url

    try:
        return bool(is_valid_endpoint_url(endpoint) or (urlsplit(endpoint).hostname or "").count(":"))
    except ValueError:
        return False
