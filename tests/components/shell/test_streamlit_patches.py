"""What a page has not been sent yet when one of its fragments runs again."""

from __future__ import annotations

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

import components.shell.fragments  # noqa: F401 - it puts the fix in place

Path = tuple[int, ...]


def block(path: Path, fragment: str = "") -> ForwardMsg:
    message = ForwardMsg()
    message.metadata.delta_path.extend(path)
    message.delta.add_block.vertical.SetInParent()
    message.delta.fragment_id = fragment
    return message


def reference(path: Path) -> ForwardMsg:
    """To something that the browser has in its cache."""
    message = ForwardMsg(ref_hash="abc")
    message.metadata.delta_path.extend(path)
    return message


def finished() -> ForwardMsg:
    return ForwardMsg(script_finished=ForwardMsg.FINISHED_SUCCESSFULLY)


def left(*messages: ForwardMsg, again: str) -> list[Path]:
    """The places of the messages that stay in a queue when the fragment `again` runs again."""
    queue = ForwardMsgQueue()
    for message in messages:
        queue.enqueue(message)
    queue.clear(retain_lifecycle_msgs=True, fragment_ids_this_run=[again])
    return [tuple(message.metadata.delta_path) for message in queue.flush()]


def test_what_the_browser_has_in_its_cache_goes_with_its_container() -> None:
    drawn = [block((0, 2), "x"), block((0, 2, 0), "x"), reference((0, 2, 0, 0)), finished()]
    assert left(*drawn, again="x") == [()]


def test_a_fragment_inside_the_fragment_goes_with_it() -> None:
    assert left(block((0, 2), "x"), block((0, 2, 0), "y"), reference((0, 2, 0, 1)), again="x") == []


@pytest.mark.parametrize("other", [block((0, 3)), block((0, 3), "y"), reference((0, 3)), reference((0, 1, 0))])
def test_what_stands_elsewhere_stays(other: ForwardMsg) -> None:
    assert left(block((0, 2), "x"), other, again="x") == [tuple(other.metadata.delta_path)]


def test_a_reference_whose_container_the_browser_has_stays() -> None:
    assert left(reference((0, 2, 0)), again="x") == [(0, 2, 0)]


def test_a_run_of_the_whole_page_drops_everything_that_was_drawn() -> None:
    queue = ForwardMsgQueue()
    for message in (block((0, 2), "x"), reference((0, 2, 0)), finished()):
        queue.enqueue(message)
    queue.clear(retain_lifecycle_msgs=True)
    assert [message.WhichOneof("type") for message in queue.flush()] == ["script_finished"]
