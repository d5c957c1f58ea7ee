"""Errors of the serving room: each carries a stable code, how to treat it, and a message fit for the public.

The code is the contract (deploy/contracts/outcomes.md lists them); the message may change. Anything that is not a
`ServeError` is a defect: it is logged with its stack and answered as `internal_error`.
"""

from typing import ClassVar

from serve.schemas.outcome import RetryClass
from serve.schemas.redaction import redacted
from serve.schemas.result import ErrorInfo


class ServeError(Exception):
    """The request could not be served."""

    code: ClassVar[str] = "internal_error"
    retry: ClassVar[RetryClass] = RetryClass.TRANSIENT

    def __init__(self, message: str | None = None, *, retry_after_s: float | None = None) -> None:
        # It travels in results and dead letters, and may name the address of a photo.
        self.message = redacted(message or (self.__doc__ or "").splitlines()[0])
        self.retry_after_s = retry_after_s
        super().__init__(self.message)

    def info(self) -> ErrorInfo:
        """The error as it travels."""
        return ErrorInfo(code=self.code, retry=self.retry, message=self.message, retry_after_s=self.retry_after_s)


class Overloaded(ServeError):
    """All slots and the queue are full; wait for room."""

    code = "overloaded"
    retry = RetryClass.BACK_PRESSURE


class DoorError(ServeError):
    """The door does not let this request in; nothing of it was tried."""

    code = "door_closed"
    retry = RetryClass.BACK_PRESSURE


class Unauthorized(DoorError):
    """No valid token came with the request."""

    code = "unauthorized"


class Forbidden(DoorError):
    """The token does not carry the right to do this."""

    code = "forbidden"


class RateLimited(DoorError):
    """This token comes too often, or has too many requests open; wait a moment."""

    code = "rate_limited"


class RequestTooSlow(DoorError):
    """The request did not come in full in time."""

    code = "request_too_slow"


class DeadlineExceeded(ServeError):
    """The time for this event was over before it could be worked on."""

    code = "deadline_exceeded"


class OutOfMemory(ServeError):
    """The image needs more memory than there is at the moment."""

    code = "out_of_memory"


class ComputeStuck(ServeError):
    """The compute thread does not come back; the replica must be replaced."""

    code = "compute_stuck"


class ReplicaLost(ServeError):
    """The replica that worked on this event went away."""

    code = "replica_lost"


class EditionMismatch(ServeError):
    """A stage that computes elsewhere has other models than the image's key names."""

    code = "edition_mismatch"


class IndexUnavailable(ServeError):
    """The result index does not answer; whoever sends waits, however long, and spends no attempt."""

    code = "index_unavailable"
    retry = RetryClass.BACK_PRESSURE


class IndexBusy(ServeError):
    """The result index could not lock or finish something in time."""

    code = "index_busy"


class IndexFailed(ServeError):
    """The result index answers, but refuses a statement."""

    code = "index_failed"


class StoreUnavailable(ServeError):
    """The object store does not answer; whoever sends waits, however long, and spends no attempt."""

    code = "store_unavailable"
    retry = RetryClass.BACK_PRESSURE


class StoreRefused(ServeError):
    """The object store refuses the write: check bucket and credentials."""

    code = "store_refused"
    retry = RetryClass.DELAYED


class ObjectBusy(ServeError):
    """An object of the same key is just being removed."""

    code = "object_busy"


class ErasureFailed(ServeError):
    """Kept copies of source photos could not be erased now."""

    code = "erasure_failed"


class RequestError(ServeError):
    """The event asks for something that cannot be."""

    retry = RetryClass.PERMANENT
    code = "bad_request"


class TenantNotAllowed(RequestError):
    """The token does not speak for this tenant."""

    code = "tenant_not_allowed"


class RequestTooLarge(RequestError):
    """The request, its header or one of its events is larger than the limit."""

    code = "request_too_large"


class UnknownRecipe(RequestError):
    """No recipe of this name is loaded."""

    code = "unknown_recipe"


class UnknownChannel(RequestError):
    """No channel profile of this name is loaded."""

    code = "unknown_channel"


class ChannelUnfit(RequestError):
    """No image of this variant can satisfy the channels that it is for."""

    code = "channel_unfit"


class MarkImpossible(RequestError):
    """A mark that one channel demands cannot be put on this image."""

    code = "mark_impossible"


class SourceError(ServeError):
    """A source photo cannot be used."""

    retry = RetryClass.PERMANENT
    code = "source_error"


class AddressRefused(SourceError):
    """The address of the photo is not allowed: private, unlisted or of an unknown kind."""

    code = "address_refused"


class SourceNotFound(SourceError):
    """The photo does not exist at its address."""

    code = "source_not_found"


class SourceUnreachable(SourceError):
    """The server of the photo does not answer."""

    code = "source_unreachable"
    retry = RetryClass.TRANSIENT


class SourceTooLarge(SourceError):
    """The photo has more bytes than the limit."""

    code = "source_too_large"


class SourceChanged(SourceError):
    """The photo at the address is not the one that the event names by its hash, version or ETag."""

    code = "source_changed"


class UnsupportedFormat(SourceError):
    """The file is not an image of a supported format."""

    code = "unsupported_format"


class CorruptImage(SourceError):
    """The image is damaged or cut short."""

    code = "corrupt_image"


class TooManyPixels(SourceError):
    """The image claims more pixels than the limit."""

    code = "too_many_pixels"


class TooSmall(SourceError):
    """The image has too few pixels to work with."""

    code = "too_small"


class DecoderCrashed(SourceError):
    """The decoder of the image crashed."""

    code = "decoder_crashed"


class DecoderMemory(SourceError):
    """Decoding the image needs more memory than the limit."""

    code = "decoder_memory"


class DecoderTimeout(SourceError):
    """Decoding the image needs more computing time than the limit."""

    code = "decoder_timeout"


class DecoderStalled(SourceError):
    """Decoding the image did not end in time; the machine may have been busy with something else."""

    code = "decoder_stalled"
    retry = RetryClass.TRANSIENT


class DecoderUnavailable(ServeError):
    """No process for decoding can be had at the moment."""

    code = "decoder_unavailable"


class FaceBlurFailed(ServeError):
    """Faces could not be looked for in time, or at all; the photo is not used with them."""

    code = "face_blur_failed"


class OutputTooLarge(ServeError):
    """The output cannot be brought under the byte limit at an acceptable quality."""

    code = "output_too_large"
    retry = RetryClass.PERMANENT


class StageFailed(ServeError):
    """A stage could not work on this image."""

    code = "stage_failed"
    retry = RetryClass.PERMANENT
