"""Parse pasted ARNs and endpoints, and explain what was pasted if it is something else."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import SplitResult, unquote, urlsplit

from lib.errors import InvalidRequest
from lib.hosts import is_loopback

# Host suffixes of all AWS partitions, from botocore's partitions.json.
OF_AWS = (
    *(".amazonaws.com", ".api.aws", ".amazonaws.com.cn", ".api.amazonwebservices.com.cn", ".amazonaws.eu"),
    *(".api.amazonwebservices.eu", ".c2s.ic.gov", ".api.aws.ic.gov", ".sc2s.sgov.gov", ".api.aws.scloud"),
    *(".cloud.adc-e.uk", ".api.cloud-aws.adc-e.uk", ".csp.hci.ic.gov", ".api.aws.hci.ic.gov"),
)
_SHOWN = 80  # characters of the pasted text in an error
_AROUND = "\"'`“”‘’„‚«»‹›<>()[]{}*,;"
_AROUND_ENDPOINTS = _AROUND.replace("[", "").replace("]", "")
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_IMPORTED = re.compile(
    r"arn:aws[a-z-]*:bedrock:[a-z0-9-]+:\d{12}:imported-model/[a-z0-9]{12}(?![\w-]|/(?!invoke|converse))", re.IGNORECASE
)
_ARN = re.compile(r"arn:[a-z-]+:(?P<service>[a-z0-9-]*):[^:\s]*:[^:\s]*:(?P<resource>[^\s\"']*)", re.IGNORECASE)
_ID = re.compile(r"(?:imported-model/)?[a-z0-9]{12}", re.IGNORECASE)
_BASE_MODEL = re.compile(r"(?:[a-z-]+\.)?[a-z0-9]+\.[a-z0-9][a-z0-9.-]*-v\d[:\w.]*", re.IGNORECASE)
_IN_S3 = re.compile(r"s3:|https?://(?:[\w.-]+\.)?s3[.-][\w.-]*amazonaws\.com", re.IGNORECASE)
_CONSOLE = re.compile(r"(?:console|signin)\.(?:aws\.amazon|amazonaws|amazonaws-us-gov)\.|\.console\.", re.IGNORECASE)
_PASTE = "Paste the ARN of an imported model. It ends in imported-model/ and twelve letters or digits."
_LOGPROBS = (
    "Bedrock returns token logprobs only for imported models. If you have the model's weights, import them with Custom "
    "Model Import, then paste the imported model's ARN."
)
_FINISHED = "Open the job in the Bedrock console, then paste the ARN of the imported model it created."
# Other resources by the prefix in their ARN: (what it is, what to do).
_OTHERS = {
    "application-inference-profile": ("an application inference profile", _LOGPROBS),
    "inference-profile": ("an inference profile", _LOGPROBS),
    "foundation-model": ("a foundation model", _LOGPROBS),
    "custom-model-deployment": ("a custom model deployment", _LOGPROBS),
    "custom-model": ("a custom model fine-tuned in Bedrock", _LOGPROBS),
    "provisioned-model": ("a model with provisioned throughput", _LOGPROBS),
    "prompt-router": ("a prompt router", _LOGPROBS),
    "default-prompt-router": ("a prompt router", _LOGPROBS),
    "marketplace": ("a Bedrock Marketplace endpoint", _LOGPROBS),
    "model-import-job": ("a model import job", _FINISHED),
    "model-customization-job": ("a fine-tuning job", _LOGPROBS),
    "model-copy-job": ("a model copy job", _LOGPROBS),
    "model-invocation-job": ("a batch inference job", _PASTE),
    "evaluation-job": ("an evaluation job", _PASTE),
    "async-invoke": ("an asynchronous invocation", _PASTE),
    "guardrail": ("a guardrail", _PASTE),
    "guardrail-profile": ("a guardrail profile", _PASTE),
    "knowledge-base": ("a knowledge base", _PASTE),
    "agent": ("an agent", _PASTE),
    "agent-alias": ("an agent", _PASTE),
    "flow": ("a flow", _PASTE),
    "prompt": ("a stored prompt", _PASTE),
}
_SERVICES = {
    "s3": ("an S3 bucket or object", "Import the model's files into Bedrock, then paste the imported model's ARN."),
    "sagemaker": ("a SageMaker resource", _LOGPROBS),
    "iam": ("an IAM role or user", _PASTE),
    "sts": ("an STS session", _PASTE),
}


def as_arn(pasted: str) -> str:
    """Extract the ARN of an imported model from pasted text; "" if the text is blank.

    Strips surrounding quotes, line breaks, percent-encoding, URLs and command prefixes. Raises InvalidRequest if the
    text is something else.
    """
    text = _decoded(_tidied(pasted))
    if not text.strip(_AROUND):
        return ""
    joined = re.sub(r"[\s\\]+", "", text)
    # Try the text unjoined first: joining may merge the ARN with the text after it.
    for each in (text.replace("\\", ""), joined):
        found: set[str] = {arn.lower() for arn in _IMPORTED.findall(each)}
        if len(found) == 1:
            return found.pop()
        if found:
            raise InvalidRequest(
                f"The text contains {len(found)} different ARNs.", "Paste the ARN of one imported model."
            )
    raise InvalidRequest(*_named(joined))


def _named(text: str) -> tuple[str, str]:
    """(what happened, what to do) for a text that is not the ARN of an imported model."""
    if found := _ARN.search(text):
        service, resource = found["service"].lower(), found["resource"].lower()
        kind = re.split(r"[/:]", resource)[0]
        if service == "bedrock" and kind == "imported-model":
            return "This imported model's ARN is incomplete or has extra characters.", _PASTE
        what, remedy = _OTHERS.get(kind, ("", "")) if service == "bedrock" else _SERVICES.get(service, ("", ""))
        if what:
            return f"This is the ARN of {what}, not of an imported model.", remedy
        return "This ARN does not belong to an imported model.", _PASTE
    bare = text.strip(_AROUND)
    if _IN_S3.match(bare):
        return "This is an S3 address. It holds a model's files.", _SERVICES["s3"][1]
    if _CONSOLE.search(bare):
        return "This is the address of a page in the AWS console.", f"Copy the model's ARN from that page. {_PASTE}"
    if "://" in bare:
        return "This is a web address, not an ARN.", _PASTE
    if _ID.fullmatch(bare):
        return "This is the last part of an ARN.", "Choose the model from the list, or paste its full ARN."
    if _BASE_MODEL.fullmatch(bare):
        return "This is the ID of a foundation model or an inference profile.", _LOGPROBS
    return "This is not an ARN.", _PASTE


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
    text = re.sub(r"\s*[\r\n]\s*", "", _tidied(pasted, _AROUND_ENDPOINTS))
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
    if _CONSOLE.search(parts.hostname or ""):
        raise InvalidRequest("This is the address of a page in the AWS console.", _TO_AWS)


def _ascii_host(host: str) -> str:
    """The host in IDNA encoding; "" if it has none."""
    try:
        return host if ":" in host else host.encode("idna").decode()
    except UnicodeError:
        return ""


_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+){1,2}-\d", re.IGNORECASE)
_TO_AWS = "Leave Endpoint empty to call AWS."
_HOW = "Use the form http://127.0.0.1:9911, with only letters, digits, hyphens and dots in the host."
# Paths that clients append to an endpoint.
_OPERATIONS = re.compile(r"/(?:model/.*|imported-models?(?:/.*)?|(?:openai/)?v1/.+|openai(?:/v1)?/?)$")


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


def _tidied(text: str, around: str = _AROUND) -> str:
    """Normalize compatibility forms and dashes; remove invisible and surrounding characters."""
    text = unicodedata.normalize("NFKC", text)
    text = "".join(char for char in text if unicodedata.category(char) not in ("Cf", "Cs", "Co", "Cn"))
    return _DASHES.sub("-", text).strip().strip(around).strip()


def _decoded(text: str) -> str:
    for _ in range(3):  # a URL inside another URL is encoded twice
        if (decoded := unquote(text)) == text:
            break
        text = decoded
    return text
