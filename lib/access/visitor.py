"""Who asks, and what is theirs: jobs, trees and runs are looked up with the visitor."""

from __future__ import annotations

from dataclasses import dataclass

from lib.errors import InvalidRequest

MOST_JOBS = 4  # that one visitor has running at a time
MOST_TOKENS = 20_000  # new tokens that one job of a visitor may ask for
MOST_CHARACTERS = 2_000_000  # that one job of a visitor has a model read, each sample counted
MOST_IMPORTED = 20_000_000  # bytes of a file of runs
MOST_UPLOADED = 20  # MB of a response or tokenizer file
MOST_STORED = 200_000_000  # bytes of the answers that are saved for one visitor


@dataclass(frozen=True)
class Visitor:
    """One who asks the server for something.

    owner: what their jobs and runs are filed under. alone: whether no one else can reach the server; then everything
    is theirs, and they have no shares. signed_in: whether `owner` is an account; else it is one visit, and knowing the
    id of a run is the right to look at it.
    """

    owner: str = ""
    alone: bool = True
    signed_in: bool = False

    def owns(self, owner: str) -> bool:
        """Whether they may change, stop or remove what is filed under `owner`."""
        return self.alone or (owner == self.owner != "")

    def lists(self, owner: str, *, shared: bool) -> bool:
        """Whether it is in their lists and exports."""
        return self.owns(owner) or (self.signed_in and shared and self != SIGNED_OUT)

    def opens(self, owner: str, *, shared: bool) -> bool:
        """Whether they may look at it, given its id."""
        return not self.signed_in or self.lists(owner, shared=shared)

    @property
    def whose(self) -> str | None:
        """The owner that changes and lists are limited to; None for no limit."""
        return None if self.alone else self.owner

    def check_characters(self, characters: int) -> None:
        """Raise InvalidRequest where one job has more text to be read than a visitor's share."""
        if not self.alone and characters > MOST_CHARACTERS:
            raise InvalidRequest(
                f"This has {characters:,} characters to be read; a visitor of this server may ask for "
                f"{MOST_CHARACTERS:,} at a time.",
                "Shorten the prompt, or lower the number of samples.",
            )

    def check_size(self, size: int) -> None:
        """Raise InvalidRequest where uploaded files are larger, in bytes, than a visitor's share."""
        if not self.alone and size > MOST_UPLOADED * 1_000_000:
            raise InvalidRequest(
                f"The files have {size / 1e6:,.0f} MB; a visitor of this server may upload {MOST_UPLOADED} MB at a "
                "time.",
                "Upload less, or run Candor on your own machine.",
            )

    def check_tokens(self, tokens: int) -> None:
        """Raise InvalidRequest where one job asks for more new tokens than a visitor's share."""
        if not self.alone and tokens > MOST_TOKENS:
            raise InvalidRequest(
                f"This asks for up to {tokens:,} new tokens; a visitor of this server may ask for {MOST_TOKENS:,} at "
                "a time.",
                "Lower the max new tokens or the number of samples.",
            )


ALONE = Visitor()
SIGNED_OUT = Visitor("", alone=False, signed_in=True)  # where people sign in, one who has not
