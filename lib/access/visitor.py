"""A visitor, what they own, and their limits. Jobs, trees and runs are always looked up for a visitor."""

from __future__ import annotations

from dataclasses import dataclass

from lib.errors import InvalidRequest

# Limits for one visitor of a server that others can reach.
MOST_JOBS = 4  # running at the same time
MOST_TOKENS = 20_000  # new tokens per job
MOST_CHARACTERS = 2_000_000  # characters read by the model per job, counted once per sample
MOST_IMPORTED = 20_000_000  # bytes of an imported file of runs
MOST_UPLOADED = 20  # MB of a response or tokenizer file
MOST_STORED = 200_000_000  # bytes of saved answers


@dataclass(frozen=True)
class Visitor:
    """A user of the server."""

    owner: str = ""  # the key their jobs and runs are saved under
    alone: bool = True  # whether no one else can reach the server; then they own everything, without limits
    # Whether `owner` is an account. If not, it is one visit, and anyone who knows a run's id may open it.
    signed_in: bool = False

    def owns(self, owner: str) -> bool:
        """Whether they may change, stop or delete what belongs to `owner`."""
        return self.alone or (owner == self.owner != "")

    def lists(self, owner: str, *, shared: bool) -> bool:
        """Whether a run of `owner` is in their lists and exports."""
        return self.owns(owner) or (self.signed_in and shared and self != SIGNED_OUT)

    def opens(self, owner: str, *, shared: bool) -> bool:
        """Whether they may open a run of `owner` by its id."""
        return not self.signed_in or self.lists(owner, shared=shared)

    @property
    def whose(self) -> str | None:
        """The owner to restrict changes and lists to; None for all owners."""
        return None if self.alone else self.owner

    def check_characters(self, characters: int) -> None:
        """Raise InvalidRequest if a job's text is over the limit."""
        if not self.alone and characters > MOST_CHARACTERS:
            raise InvalidRequest(
                f"This job has {characters:,} characters of input. The limit on this server is {MOST_CHARACTERS:,}.",
                "Shorten the prompt, or reduce the number of samples.",
            )

    def check_size(self, size: int) -> None:
        """Raise InvalidRequest if uploaded files are over the limit. size: total bytes."""
        if not self.alone and size > MOST_UPLOADED * 1_000_000:
            raise InvalidRequest(
                f"The files have {size / 1e6:,.0f} MB. The limit on this server is {MOST_UPLOADED} MB per upload.",
                "Upload less, or run Candor on your own machine.",
            )

    def check_tokens(self, tokens: int) -> None:
        """Raise InvalidRequest if a job's new tokens are over the limit."""
        if not self.alone and tokens > MOST_TOKENS:
            raise InvalidRequest(
                f"This job asks for up to {tokens:,} new tokens. The limit on this server is {MOST_TOKENS:,} per job.",
                "Reduce max new tokens or the number of samples.",
            )


ALONE = Visitor()
SIGNED_OUT = Visitor("", alone=False, signed_in=True)  # not signed in, on a server with accounts
