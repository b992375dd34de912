"""What is known of the imported models that this machine's credentials reach: asked once, kept for a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lib.access.policy import Places
from lib.core.bedrock_names import OF_AWS
from lib.core.sources import AwsTarget, BedrockModel
from lib.costs.ledger import Ledger
from lib.engines.bedrock.capabilities import Abilities, abilities, probe
from lib.engines.bedrock.clients import Clients
from lib.engines.bedrock.control_plane import Details, Imported, list_imported, look_up
from lib.engines.bedrock.errors import STALE
from lib.engines.bedrock.s3_files import fetch
from lib.engines.bedrock.single_flight import Found, SingleFlightCache
from lib.engines.bedrock.tokenizers import FoundTokenizer, find_tokenizer
from lib.errors import CandorError, ModelUnavailable, ServiceError
from lib.hosts import is_loopback
from lib.wire.formats import THREE_FORMATS, Format

T = TypeVar("T")
_LONG, _SOON = 3600.0, 60.0  # seconds that an answer is good for; the latter where it was not all that was asked for
_LIST, _DETAILS, _ABILITIES, _TOKENIZER = "models", "details", "abilities", "tokenizer"


class Account:
    """Looks things up, each once for everybody. Safe to share.

    The `peek_` methods never wait: they are None while the answer is on its way.
    """

    def __init__(
        self, clients: Clients | None = None, *, places: Places | None = None, ledger: Ledger | None = None
    ) -> None:
        """places: where it may connect, anywhere without it. ledger: counts the calls that look something up."""
        self.clients = clients or Clients()
        self.places, self._ledger = places, ledger
        self._lookups = SingleFlightCache()

    def client(self, service: str, place: AwsTarget) -> Any:
        """boto3's client. Raises ServiceError, or InvalidRequest for a place that is not allowed."""
        if self.places is not None:
            self.places.check(place)
        return self.clients.get(service, place)

    def choose(self, place: AwsTarget, tokenizer: str = "") -> None:
        """A visitor chose this place and tokenizer in a form."""
        if self.places is not None:
            self.places.choose(place, tokenizer)

    def check(self, model: BedrockModel) -> None:
        """Raise InvalidRequest where this model's place or tokenizer may not be used."""
        if self.places is not None:
            self.places.check(model.place, model.tokenizer)
            self.places.check_model(model.arn)

    def is_aws(self, place: AwsTarget) -> bool:
        """Whether calls go to AWS itself, and are billed."""
        try:
            host = urlsplit(self.client("bedrock-runtime", place).meta.endpoint_url).hostname or ""
        except CandorError:
            return True
        return host.endswith(OF_AWS)

    def watch(self, error: ServiceError, place: AwsTarget) -> ServiceError:
        """Look the credentials up again the next time where they are why a call failed. Returns the error."""
        if error.code in STALE:
            self.clients.forget(place)
        return error

    def models(self, place: AwsTarget) -> tuple[Imported, ...]:
        """The account's imported models at a place, newest first. Raises ServiceError."""
        return self._lookups.get((_LIST, place), lambda: self._asked(place, list_imported))

    def models_nowait(self, place: AwsTarget) -> Found[tuple[Imported, ...]] | None:
        """The same without waiting."""
        return self._lookups.get_nowait((_LIST, place), lambda: self._asked(place, list_imported))

    def name_of(self, arn: str) -> str:
        """What a model is called in the lists that were read; else the end of its ARN. Nothing is asked."""
        listed = (each for models in self._lookups.known(_LIST) for each in models if each.arn == arn)
        return next((each.name for each in listed), arn.rsplit("/", 1)[-1])

    def details(self, place: AwsTarget, arn: str) -> Details:
        """What there is to know of a model. Raises ServiceError."""
        return self._lookups.get((_DETAILS, place, arn), lambda: self._details(place, arn))

    def peek_details(self, place: AwsTarget, arn: str) -> Found[Details] | None:
        """The same without waiting."""
        return self._lookups.get_nowait((_DETAILS, place, arn), lambda: self._details(place, arn))

    def abilities(self, model: BedrockModel) -> Abilities:
        """What a model can return. Never fails: what cannot be asked is assumed, and says so."""
        return self._lookups.get(_about(model), lambda: self._abilities(model), _good_for)

    def peek_abilities(self, model: BedrockModel) -> Abilities | None:
        """The same without waiting."""
        found = self._lookups.get_nowait(_about(model), lambda: self._abilities(model), _good_for)
        return None if found is None else found.value

    def known_abilities(self, model: BedrockModel) -> Abilities | None:
        """What was found out of what a model can return. Nothing is asked."""
        found = self._lookups.known(*_about(model))
        return found[0] if found else None

    def tokenizer(self, model: BedrockModel) -> FoundTokenizer:
        """The model's tokenizer. Raises ModelUnavailable where the one that was given cannot be read."""
        return self._lookups.get(_spelling(model), lambda: self._tokenizer(model), _reliable_for)

    def peek_tokenizer(self, model: BedrockModel) -> Found[FoundTokenizer] | None:
        """The same without waiting."""
        return self._lookups.get_nowait(_spelling(model), lambda: self._tokenizer(model), _reliable_for)

    def ask_again(self, place: AwsTarget) -> None:
        """Forget what is known of a place, credentials included."""
        self.clients.forget(place)
        for kind in (_LIST, _DETAILS, _ABILITIES, _TOKENIZER):
            self._lookups.forget(kind, place)

    def woken(self, model: BedrockModel) -> None:
        """The model has answered: what it could not be asked while it slept is asked again."""
        found = self.peek_abilities(model)
        if found is not None and found.asleep:
            self._lookups.forget(*_about(model))

    def close(self) -> None:
        """Give all connections back."""
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
            return abilities(imported, None)  # the date says it all
        try:
            self.check(model)
            found = self._asked(model.place, lambda client: self._probed(client, model.arn), "bedrock-runtime")
        except ServiceError as error:
            return abilities(imported, None, asleep=error.code == "ModelNotReadyException")
        except CandorError:  # a cap is reached, or the place is not allowed
            return abilities(imported, None)
        return abilities(imported, found)

    def _probed(self, client: Any, arn: str) -> frozenset[Format] | None:
        if self._ledger is None:
            return probe(client, arn)
        with self._ledger.call(arn) as call:
            call.refused()  # as the probe always is: it counts, and costs nothing
            return probe(client, arn)

    def _import_date(self, model: BedrockModel) -> datetime | None:
        """As it is given beside the model, else as Bedrock knows it."""
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
            raise ModelUnavailable("Bedrock does not say where the model was imported from.", "Give its tokenizer.")
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


def _about(model: BedrockModel) -> tuple[Any, ...]:
    return (_ABILITIES, model.place, model.arn, model.imported)


def _spelling(model: BedrockModel) -> tuple[Any, ...]:
    return (_TOKENIZER, model.place, model.arn, model.tokenizer)


def _good_for(found: Abilities) -> float:
    return _SOON if found.asleep else _LONG


def _reliable_for(found: FoundTokenizer) -> float:
    return _LONG if found.tokenizer is not None and not found.tried else _SOON
