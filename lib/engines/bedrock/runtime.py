"""The two operations of Bedrock Runtime on one model, bodies in and bytes out; what goes wrong comes in words."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any

from lib.core.sources import BedrockModel
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.errors import in_words
from lib.engines.remote.retry import ASLEEP
from lib.errors import ServiceError

_ANSWER = re.compile(rb'"(generation|choices|outputs)"')
_SMALL = 1000  # bytes; responses with an answer and its logprobs are larger


class Runtime:
    """Safe to share between threads. client: of bedrock-runtime, by default the account's."""

    def __init__(self, model: BedrockModel, account: Account, client: Any = None) -> None:
        self._model, self._account, self._client = model, account, client

    def invoke(self, body: bytes) -> bytes:
        """A whole response. Raises ServiceError."""
        try:
            answer = self._made().invoke_model(**self._asking(body))
            with closing(answer["body"]) as arriving:  # whatever happens, the connection does not stay half read
                data: bytes = arriving.read()
        except Exception as error:
            raise self.in_words(error) from error
        if len(data) < _SMALL and not _ANSWER.search(data) and data.lstrip().startswith(b"{"):
            # Models were seen to answer with no answer at all while they were being brought back.
            raise ServiceError("The model answers with nothing.", "Try again in a minute or two.", ASLEEP)
        return data

    def open(self, body: bytes) -> Any:
        """The events of a stream, to be closed. Raises ServiceError."""
        try:
            return self._made().invoke_model_with_response_stream(**self._asking(body))["body"]
        except Exception as error:
            raise self.in_words(error) from error

    def in_words(self, error: Exception) -> ServiceError:
        """What boto3 raised, now or while a stream was read."""
        found = error if isinstance(error, ServiceError) else in_words(error, self._model.arn)
        return self._account.watch(found, self._model.place)

    def _made(self) -> Any:
        return self._client or self._account.client("bedrock-runtime", self._model.place)

    def _asking(self, body: bytes) -> dict[str, Any]:
        kind = "application/json"
        return {"modelId": self._model.arn, "body": body, "accept": kind, "contentType": kind}
