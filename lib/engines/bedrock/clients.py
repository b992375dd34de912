"""boto3 sessions and clients, created once for each place and shared between threads.

boto3 finds credentials in its own chain; Candor never reads, stores or shows them.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from lib.core.pasted_endpoint import OF_AWS, as_endpoint
from lib.core.sources import AwsTarget
from lib.engines.bedrock.errors import in_words
from lib.errors import CandorError

# Regions with Custom Model Import, as the AWS documentation lists them.
REGIONS = ("us-east-1", "us-east-2", "us-west-2", "eu-central-1")
_MAX_CLIENTS = 24  # each takes about 10 MB
_CONNECTIONS = 64  # pool size: as many as calls may run


class Clients:
    """Clients by service and place, created on first use. Safe to share."""

    def __init__(self, limit: int = _MAX_CLIENTS) -> None:
        """limit: how many clients to hold; the least recently used are dropped."""
        self._limit = limit
        self._clients: dict[tuple[str, AwsTarget], Any] = {}
        self._sessions: dict[AwsTarget, Any] = {}
        self._lock = threading.Lock()

    @property
    def counts(self) -> tuple[int, int]:
        """How many (clients, sessions) are held."""
        with self._lock:
            return len(self._clients), len(self._sessions)

    def get(self, service: str, place: AwsTarget) -> Any:
        """The client of "bedrock-runtime", "bedrock" or "s3". Raises ServiceError, or InvalidRequest (endpoint)."""
        with self._lock:
            client = self._clients.pop((service, place), None)
            if client is None:
                try:
                    client = self._create(service, place)
                except CandorError:
                    raise
                except Exception as error:
                    raise in_words(error) from error
            self._clients[service, place] = client
            while len(self._clients) > self._limit:
                oldest = next(iter(self._clients))
                del self._clients[oldest]
                _, old = oldest
                if all(at != old for _, at in self._clients):
                    self._sessions.pop(old, None)
            return client

    def forget(self, place: AwsTarget) -> None:
        """Look the credentials up again next time, as the user may have logged in since."""
        with self._lock:
            self._sessions.pop(place, None)
            for key in [key for key in self._clients if key[1] == place]:
                # Not closed: another thread may be using it.
                del self._clients[key]

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
            self._sessions.clear()
        for client in clients:
            client.close()

    def _create(self, service: str, place: AwsTarget) -> Any:
        import boto3
        from botocore.config import Config

        if place not in self._sessions:
            self._sessions[place] = boto3.Session(profile_name=place.profile or None, region_name=place.region or None)
        runtime = service == "bedrock-runtime"
        # `lib.engines.remote.retry` retries billed calls, so that users see it and can stop it.
        config = Config(
            retries={"total_max_attempts": 1 if runtime else 4, "mode": "standard"},
            read_timeout=300 if runtime else 20,
            connect_timeout=10,
            tcp_keepalive=True,
            max_pool_connections=_CONNECTIONS,
        )
        endpoint = as_endpoint(place.endpoint) or None
        if service == "s3" and endpoint:
            return _s3_of(self._sessions[place], endpoint, config)
        return self._sessions[place].client(service, endpoint_url=endpoint, config=config)


def _s3_of(session: Any, endpoint: str, config: Any) -> Any:
    """S3's client at an endpoint that stands in for AWS, unless boto3 is configured with one for S3."""
    from botocore.config import Config

    configured = session.client("s3", config=config)
    if not (urlsplit(configured.meta.endpoint_url).hostname or "").endswith(OF_AWS):
        return configured
    configured.close()
    # With the bucket in the path: its name can't be resolved as part of a host name there.
    return session.client("s3", endpoint_url=endpoint, config=config.merge(Config(s3={"addressing_style": "path"})))


def profiles() -> tuple[str, ...]:
    """Names of the AWS profiles on this machine; none if the configuration can't be read."""
    import botocore.session
    from botocore.exceptions import BotoCoreError

    try:
        return tuple(botocore.session.Session().available_profiles)
    except (BotoCoreError, OSError, UnicodeDecodeError):
        return ()


def usual_region(profile: str = "") -> str:
    """The region boto3 uses by default; "" if it has none."""
    import botocore.session
    from botocore.exceptions import BotoCoreError

    try:
        return str(botocore.session.Session(profile=profile or None).get_config_variable("region") or "")
    except (BotoCoreError, OSError, UnicodeDecodeError):
        return ""


@cache
def partition_of_region(region: str) -> str:
    """The partition of a region, such as "aws-us-gov"; "aws" if botocore doesn't know the region."""
    import botocore.session
    from botocore.exceptions import BotoCoreError

    try:
        return str(botocore.session.Session().get_partition_for_region(region))
    except BotoCoreError:
        return "aws"
