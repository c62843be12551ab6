"""Work that is too long for the event loop: pictures, and sound by the minute."""

from collections.abc import Callable
from dataclasses import dataclass

from omni.types import Picture
from omni.vision.image import decode_image
from streaming.commands import Command
from streaming.gateway.wire.fields import WireError, decode_base64

_DATA_URLS = ("data:image/jpeg;base64,", "data:image/jpg;base64,", "data:image/png;base64,")


@dataclass(frozen=True, slots=True, eq=False)
class Undecoded:
    """A command whose sound or picture is still encoded.

    The transport runs decode() in a pool, waits for it, so that the client's messages keep their order, and hands on
    what it returns.
    """

    work: Callable[[], Command]
    event_id: str | None

    def decode(self) -> Command | WireError:
        """The command, or what is wrong with its media."""
        try:
            return self.work()
        except WireError as error:
            error.event_id = self.event_id
            return error


def picture_of_base64(text: str, param: str) -> Picture:
    """A JPEG or PNG in base64.

    Raises:
        WireError: it is none, or too large.
    """
    try:
        return decode_image(decode_base64(text, param))
    except ValueError as error:
        raise WireError("invalid_image", f"{param}: {error}.", param) from error


def picture_of_url(url: str, param: str) -> Picture:
    """The picture in a data: URL.

    Raises:
        WireError: the picture is none, or this is another kind of URL (fetching what strangers name is a danger).
    """
    for prefix in _DATA_URLS:
        if url[: len(prefix)].lower() == prefix:
            return picture_of_base64(url[len(prefix) :], param)
    raise WireError(
        "invalid_image_url", f"{param} must be a data: URL with a JPEG or PNG in base64; nothing is fetched.", param
    )
