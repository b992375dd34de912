"""Cached information about the imported models that this machine's credentials can reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lib.access.places import Places
from lib.core.pasted_endpoint import OF_AWS
from lib.core.sources import AwsTarget, BedrockModel
from lib.costs.ledger import Ledger
from lib.engines.bedrock.capabilities import Abilities, abilities, by_hand, probe
from lib.engines.bedrock.clients import Clients
from lib.engines.bedrock.control_plane import Details, Imported, list_imported, look_up
from lib.engines.bedrock.errors import COLD, STALE
from lib.engines.bedrock.s3_files import fetch
from lib.engines.bedrock.single_flight import Found, SingleFlightCache
from lib.engines.bedrock.tokenizers import FoundTokenizer, find_tokenizer
from lib.errors import CandorError, ModelUnavailable, ServiceError
from lib.hosts import is_loopback
from lib.wire.formats import THREE_FORMATS, Format

T = TypeVar("T")
_LONG, _SHORT = 3600.0, 60.0  # seconds to cache a complete answer and an incomplete one
_LIST, _DETAILS, _ABILITIES, _TOKENIZER = "models", "details", "abilities", "tokenizer"


class Account:
    """Looks things up, once for all users. Safe to share.

    The `peek_` methods never wait: they return None while the answer is being fetched.
    """

    def __init__(
        self, clients: Clients | None = None, *, places: Places | None = None, ledger: Ledger | None = None
    ) -> None:
        """places: where it may connect; anywhere if None. ledger: counts the calls that probe a model."""
        self.clients = clients or Clients()
        self.places, self._ledger = places, ledger
        self._lookups = SingleFlightCache()

    def client(self, service: str, place: AwsTarget) -> Any:
        """The boto3 client. Raises ServiceError, or InvalidRequest if the place is not allowed."""
        if self.places is not None:
            self.places.check(place)
        return self.clients.get(service, place)

    def choose(self, place: AwsTarget, tokenizer: str = "") -> None:
        """Record that a visitor chose this place and tokenizer in a form."""
        if self.places is not None:
            self.places.choose(place, tokenizer)

    def check(self, model: BedrockModel) -> None:
        """Raise InvalidRequest if this model's place or tokenizer is not allowed."""
        if self.places is not None:
            self.places.check(model.place, model.tokenizer)
            self.places.check_model(model.arn)

    def is_aws(self, place: AwsTarget) -> bool:
        """Whether calls go to AWS itself and are billed."""
        try:
            host = urlsplit(self.client("bedrock-runtime", place).meta.endpoint_url).hostname or ""
        except CandorError:
            return True
        return host.endswith(OF_AWS)

    def watch(self, error: ServiceError, place: AwsTarget) -> ServiceError:
        """Forget the credentials if they made a call fail, so that they are looked up again. Returns the error."""
        if error.code in STALE:
            self.clients.forget(place)
        return error

    def models(self, place: AwsTarget) -> tuple[Imported, ...]:
        """The account's imported models at a place, newest first. Raises ServiceError."""
        return self._lookups.get((_LIST, place), lambda: self._asked(place, list_imported))

    def models_nowait(self, place: AwsTarget) -> Found[tuple[Imported, ...]] | None:
        """The same, without waiting."""
        return self._lookups.get_nowait((_LIST, place), lambda: self._asked(place, list_imported))

    def name_of(self, arn: str) -> str:
        """A model's name in the lists fetched so far, or the end of its ARN. Makes no call."""
        listed = (each for models in self._lookups.known(_LIST) for each in models if each.arn == arn)
        return next((each.name for each in listed), arn.rsplit("/", 1)[-1])

    def details(self, place: AwsTarget, arn: str) -> Details:
        """Details of a model. Raises ServiceError."""
        return self._lookups.get((_DETAILS, place, arn), lambda: self._details(place, arn))

    def peek_details(self, place: AwsTarget, arn: str) -> Found[Details] | None:
        """The same, without waiting."""
        return self._lookups.get_nowait((_DETAILS, place, arn), lambda: self._details(place, arn))

    def abilities(self, model: BedrockModel) -> Abilities:
        """What a model can return. Never fails: if the model can't be asked, the answer says it is assumed."""
        if (chosen := _by_hand(model)) is not None:
            return chosen
        return self._lookups.get(_abilities_key(model), lambda: self._abilities(model), _abilities_ttl)

    def peek_abilities(self, model: BedrockModel) -> Abilities | None:
        """The same, without waiting."""
        if (chosen := _by_hand(model)) is not None:
            return chosen
        found = self._lookups.get_nowait(_abilities_key(model), lambda: self._abilities(model), _abilities_ttl)
        return None if found is None else found.value

    def known_abilities(self, model: BedrockModel) -> Abilities | None:
        """What a model can return, if that is known already. Makes no call."""
        if (chosen := _by_hand(model)) is not None:
            return chosen
        found = self._lookups.known(*_abilities_key(model))
        return found[0] if found else None

    def tokenizer(self, model: BedrockModel) -> FoundTokenizer:
        """The model's tokenizer. Raises ModelUnavailable if the one set for the model can't be read."""
        return self._lookups.get(_tokenizer_key(model), lambda: self._tokenizer(model), _tokenizer_ttl)

    def peek_tokenizer(self, model: BedrockModel) -> Found[FoundTokenizer] | None:
        """The same, without waiting."""
        return self._lookups.get_nowait(_tokenizer_key(model), lambda: self._tokenizer(model), _tokenizer_ttl)

    def ask_again(self, place: AwsTarget) -> None:
        """Forget everything about a place, including its credentials."""
        self.clients.forget(place)
        for kind in (_LIST, _DETAILS, _ABILITIES, _TOKENIZER):
            self._lookups.forget(kind, place)

    def woken(self, model: BedrockModel) -> None:
        """Note that the model has answered: if it was cold when it was probed, forget that result."""
        found = self.peek_abilities(model)
        if found is not None and found.asleep:
            self._lookups.forget(*_abilities_key(model))

    def close(self) -> None:
        """Close all connections."""
        self.clients.close()

    def _asked(self, place: AwsTarget, ask: Callable[[Any], T], service: str = "bedrock") -> T:
        try:
            return ask(self.client(service, place))
        except ServiceError as error:
            self.watch(error, place)
            raise

    def _details(self, place: AwsTarget, arn: str) -> Details:
        return self._asked(place, lambda client: look_up(client, arn))

    def _abilities(self, model: BedrockModel) -> Abilities:
        imported = self._import_date(model)
        if imported is not None and imported < THREE_FORMATS:
            return abilities(imported, None)  # the date alone decides
        try:
            self.check(model)
            found = self._asked(model.place, lambda client: self._probed(client, model.arn), "bedrock-runtime")
        except ServiceError as error:
            return abilities(imported, None, asleep=error.code == COLD)
        except CandorError:  # a cap is reached, or the place is not allowed
            return abilities(imported, None)
        return abilities(imported, found)

    def _probed(self, client: Any, arn: str) -> frozenset[Format] | None:
        if self._ledger is None:
            return probe(client, arn)
        with self._ledger.call(arn) as call:
            call.refused()  # a probe always is: it counts as a call and costs nothing
            return probe(client, arn)

    def _import_date(self, model: BedrockModel) -> datetime | None:
        """The import date set for the model, or the one Bedrock reports; None if neither is known."""
        if model.imported is not None:
            return datetime(model.imported.year, model.imported.month, model.imported.day, tzinfo=UTC)
        try:
            return self.details(model.place, model.arn).model.created
        except CandorError:
            return None

    def _tokenizer(self, model: BedrockModel) -> FoundTokenizer:
        self.check(model)
        return find_tokenizer(model.tokenizer, lambda: self._import_files(model))

    def _import_files(self, model: BedrockModel) -> tuple[Path, str]:
        found = self.details(model.place, model.arn)
        if not found.s3_uri:
            raise ModelUnavailable(
                "Bedrock doesn't say where the model was imported from.", "Choose a tokenizer for the model."
            )
        place = self.place_of_files(model.place, found)
        try:
            return fetch(self.clients.get("s3", place), found.s3_uri), found.s3_uri
        except ServiceError as error:
            self.watch(error, place)
            raise

    def place_of_files(self, place: AwsTarget, found: Details) -> AwsTarget:
        """The place to ask for a model's files: AWS, or the endpoint if it is not AWS's and has them or is on loopback.

        Raises InvalidRequest if the model's place is not allowed.
        """
        endpoint = str(self.client("bedrock", place).meta.endpoint_url)
        host = urlsplit(endpoint).hostname or ""
        stands_in = not host.endswith(OF_AWS) and (found.has_files or is_loopback(host))
        return replace(place, endpoint=endpoint if stands_in else "")


def _by_hand(model: BedrockModel) -> Abilities | None:
    """What follows from a format that the user set; None without one."""
    return by_hand(Format[model.form]) if model.form in Format.__members__ else None


def _abilities_key(model: BedrockModel) -> tuple[Any, ...]:
    return (_ABILITIES, model.place, model.arn, model.imported)


def _tokenizer_key(model: BedrockModel) -> tuple[Any, ...]:
    return (_TOKENIZER, model.place, model.arn, model.tokenizer)


def _abilities_ttl(found: Abilities) -> float:
    return _SHORT if found.asleep else _LONG


def _tokenizer_ttl(found: FoundTokenizer) -> float:
    return _LONG if found.tokenizer is not None and not found.tried else _SHORT
