"""Calls between deployments: what befalls them becomes an error of ours, and pictures go the cheaper way."""

import asyncio
import logging
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException

from serve.app.parcel import Order, Parcel, Refused
from serve.app.placed import Pending
from serve.errors import Overloaded, ReplicaLost

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle, DeploymentResponse

log = logging.getLogger(__name__)
R = TypeVar("R")

#: Parcels with more bytes than this go to the object store first, in a thread; smaller ones within the call.
BY_REFERENCE_BYTES = 500_000


@contextmanager
def translated() -> Iterator[None]:
    """Turn what Ray raises about a call into `Overloaded` or `ReplicaLost`."""
    try:
        yield
    except (BackPressureError, DeploymentUnavailableError) as error:
        raise Overloaded from error
    except RayActorError as error:
        raise ReplicaLost from error
    except (RayError, RayServeException) as error:
        if not _lost_on_the_way(error):
            log.exception("call of a replica failed")
        raise ReplicaLost from error


def _lost_on_the_way(error: BaseException) -> bool:
    """Whether a call failed because the replica died whose answer it was to take over."""
    return isinstance(error, RayTaskError) and isinstance(error.cause, RayActorError)


async def awaited(response: Awaitable[R]) -> R:
    """A coroutine of something that can be awaited."""
    return await response


class RayPending:
    """A `Pending` of Serve."""

    def __init__(self, response: "DeploymentResponse[Any]") -> None:
        self.response = response

    async def result(self) -> Parcel | Refused:
        """See `Pending`."""
        with translated():
            returned = await self.response
        if not isinstance(returned, Parcel | Refused):
            raise TypeError(f"a stage host gave {type(returned).__name__}")
        return returned

    def cancel(self) -> None:
        """See `Pending`."""
        self.response.cancel()  # type: ignore[no-untyped-call]


class RayHop:
    """A `Hop` over a handle.

    Always by reference, whatever Serve is set to: by value a picture would meet the size limit of gRPC, and references
    inside of other values would stay pinned. A parcel in the object store lives as long as the call that takes it, an
    answer as long as somebody holds its pictures or the call that it was handed on to; this process owns both.
    """

    def __init__(self, handle: "DeploymentHandle[Any]") -> None:
        self._handle = handle.options(method_name="develop", _by_reference=True)

    async def send(self, parcel: Parcel | Pending, order: Order) -> RayPending:
        """See `Hop`."""
        sent: object = parcel
        if isinstance(parcel, RayPending):
            sent = parcel.response
        elif isinstance(parcel, Parcel) and parcel.nbytes > BY_REFERENCE_BYTES:
            sent = await asyncio.to_thread(ray.put, parcel)
        return RayPending(cast("DeploymentResponse[Any]", self._handle.remote(sent, order)))
