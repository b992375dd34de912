"""The two operations of Bedrock Runtime on one model: bodies in, bytes out, errors as ServiceError."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any

from lib.core.sources import BedrockModel
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.errors import COLD, in_words
from lib.errors import ServiceError

_ANSWER = re.compile(rb'"(generation|choices|outputs)"')
_SMALL = 1000  # bytes; a response with an answer and its logprobs is larger


class Runtime:
    """Calls of one model. Safe to share between threads."""

    def __init__(self, model: BedrockModel, account: Account, client: Any = None) -> None:
        """client: of bedrock-runtime, by default the account's."""
        self._model, self._account, self._client = model, account, client

    def invoke(self, body: bytes) -> bytes:
        """Return a whole response. Raises ServiceError."""
        try:
            answer = self._bedrock().invoke_model(**self._parameters(body))
            with closing(answer["body"]) as stream:  # never leave a connection half read
                data: bytes = stream.read()
        except Exception as error:
            raise self.in_words(error) from error
        if len(data) < _SMALL and not _ANSWER.search(data) and data.lstrip().startswith(b"{"):
            # Models have been seen to return an empty response while they were still loading.
            raise ServiceError("The model returned an empty response.", "Try again in a minute or two.", COLD)
        return data

    def open(self, body: bytes) -> Any:
        """Open a stream and return its events, to be closed by the caller. Raises ServiceError."""
        try:
            return self._bedrock().invoke_model_with_response_stream(**self._parameters(body))["body"]
        except Exception as error:
            raise self.in_words(error) from error

    def in_words(self, error: Exception) -> ServiceError:
        """Translate what boto3 raised, when calling or while reading a stream."""
        found = error if isinstance(error, ServiceError) else in_words(error, self._model.arn)
        return self._account.watch(found, self._model.place)

    def _bedrock(self) -> Any:
        return self._client or self._account.client("bedrock-runtime", self._model.place)

    def _parameters(self, body: bytes) -> dict[str, Any]:
        kind = "application/json"
        return {"modelId": self._model.arn, "body": body, "accept": kind, "contentType": kind}
