"""The messages of InvokeModelWithResponseStream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from lib.core.stream import Delta
from lib.errors import CandorError
from lib.serve.event_stream import chunk_frame, exception_frame
from lib.serve.responses import CallContext, Chunks
from lib.serve.service_errors import refusal_for

log = logging.getLogger(__name__)


async def messages(
    call: CallContext, chunks: Chunks, first: list[Delta], deltas: AsyncIterator[list[Delta]]
) -> AsyncIterator[bytes]:
    """Frame the chunks of a stream. An error of the model, or one set as a fault, is the last message.

    first: the deltas already taken from `deltas`.
    """
    fault, sent = call.faults.get("stream-error"), 0
    try:
        # The first chunk may hold the logprobs of a whole prompt, which take time to write.
        ready: list[bytes] | None = await asyncio.to_thread(lambda: list(chunks.of(first)))
        while ready is not None:
            for chunk in ready:
                if fault is not None and sent == fault.after:
                    yield exception_frame(refusal_for(fault.code, fault.message))
                    return
                yield chunk_frame(chunk)
                sent += 1
            found = await anext(deltas, None)
            ready = None if found is None else list(chunks.of(found))
        if fault is not None:  # the answer had fewer chunks than that
            yield exception_frame(refusal_for(fault.code, fault.message))
    except CandorError as error:
        log.info("a stream ends with an error: %s", error.cause)
        yield exception_frame(refusal_for("ModelStreamErrorException", error.cause))
    finally:
        await deltas.aclose()  # type: ignore[attr-defined]
