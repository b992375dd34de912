"""boto3's sessions and clients, made once for each place and shared between threads.

Credentials are found by boto3 in its own chain; they are never read, kept or shown here.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from lib.core.bedrock_names import OF_AWS, as_endpoint
from lib.core.sources import AwsTarget
from lib.engines.bedrock.errors import in_words
from lib.errors import CandorError

# Where Custom Model Import is, as the AWS documentation lists it.
REGIONS = ("us-east-1", "us-east-2", "us-west-2", "eu-central-1")
_MOST = 24  # clients that are kept, each of which takes some 10 MB
_CONNECTIONS = 64  # kept open at once: as many calls as may run


class Clients:
    """Clients by service and place. Safe to share; each is made by the first who asks."""

    def __init__(self) -> None:
        self._clients: dict[tuple[str, AwsTarget], Any] = {}
        self._sessions: dict[AwsTarget, Any] = {}
        self._lock = threading.Lock()

    def get(self, service: str, place: AwsTarget) -> Any:
        """The client of "bedrock-runtime", "bedrock" or "s3". Raises ServiceError, InvalidRequest for the endpoint."""
        with self._lock:
            client = self._clients.pop((service, place), None)
            if client is None:
                try:
                    client = self._made(service, place)
                except CandorError:
                    raise
                except Exception as error:
                    raise in_words(error) from error
            self._clients[service, place] = client
            while len(self._clients) > _MOST:  # the one that was not used for the longest goes first
                oldest = next(iter(self._clients))
                del self._clients[oldest]
                _, old = oldest
                if all(at != old for _, at in self._clients):
                    self._sessions.pop(old, None)
            return client

    def forget(self, place: AwsTarget) -> None:
        """Look the credentials up again the next time: somebody may have logged in."""
        with self._lock:
            self._sessions.pop(place, None)
            for key in [key for key in self._clients if key[1] == place]:
                # Not closed: another thread may be in the midst of a call.
                del self._clients[key]

    def close(self) -> None:
        """Give all connections back."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
            self._sessions.clear()
        for client in clients:
            client.close()

    def _made(self, service: str, place: AwsTarget) -> Any:
        import boto3
        from botocore.config import Config

        if place not in self._sessions:
            self._sessions[place] = boto3.Session(profile_name=place.profile or None, region_name=place.region or None)
        runtime = service == "bedrock-runtime"
        # Calls that cost are tried again by `lib.engines.remote.retry`, where people see it and can stop it.
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
    """The names of the AWS profiles on this machine; none where the configuration cannot be read."""
    import botocore.session
    from botocore.exceptions import BotoCoreError

    try:
        return tuple(botocore.session.Session().available_profiles)
    except (BotoCoreError, OSError, UnicodeDecodeError):
        return ()


def usual_region(profile: str = "") -> str:
    """The region that boto3 would take, "" if it knows none."""
    import botocore.session
    from botocore.exceptions import BotoCoreError

    try:
        return str(botocore.session.Session(profile=profile or None).get_config_variable("region") or "")
    except (BotoCoreError, OSError, UnicodeDecodeError):
        return ""


@cache
def partition_of_region(region: str) -> str:
    """The partition that a region is in, such as "aws-us-gov"; "aws" for one that botocore does not know."""
    import botocore.session
    from botocore.exceptions import BotoCoreError

    try:
        return str(botocore.session.Session().get_partition_for_region(region))
    except BotoCoreError:
        return "aws"
