"""What can go wrong, as one tree; it knows no HTTP.

::

    KaryometerError
    ├── SettingsError             the environment asks for something impossible
    ├── ModelError                the model or its card cannot be used
    │   └── DeviceError           the asked-for device is not on this machine
    ├── UploadError               the request does not carry what was asked for
    │   ├── EmptyUploadError      a file of zero bytes
    │   ├── MalformedUploadError  a multipart body that cannot be taken apart
    │   ├── MissingPartError      a part that the request needs is absent
    │   ├── UnknownPartError      a part that nobody asked for
    │   ├── UploadTooLargeError   more bytes than the limit
    │   └── UploadTooSlowError    not all of it within the time limit
    ├── ImageError                the file is not an image that can be measured
    │   ├── UnreadableImageError  a known format, but damaged
    │   ├── UnsupportedImageError a format or pixel type that is not read
    │   └── ImageTooLargeError    more pixels than the limit
    ├── SizeMismatchError         image and ground truth differ in size
    ├── OptionError               an option has no such value
    ├── TableError                a table does not hold what the question needs
    │   └── LayoutError           a layout does not say what each well got
    ├── ChannelNeededError        several channels, and nothing says which holds the nuclei
    ├── NoPreviewError            an image that was sent to be looked at is kept no longer
    ├── FormatError               the result does not fit into the format asked for
    ├── NoRoomError               a temporary file cannot be written
    ├── OutputError               results cannot be written
    ├── ServerError               a service elsewhere refuses what it is sent
    ├── ExperimentError           an experiment cannot do what was asked of it
    │   ├── NoSuchError           there is no such experiment, image or table
    │   └── ConflictError         it is in a state, or has a file, that forbids it
    ├── NotReadyError             the model is not loaded, or the service is stopping
    ├── ApiKeyError               the request has no API key, or an unknown one
    ├── HostError                 the request was meant for another host
    ├── RetryLaterError           a limit is reached for now
    │   ├── QuotaError            the API key has used up its pixels
    │   └── BusyError             the service has as much to do as it may
    └── ClientGoneError           nobody waits for the answer any more

Every message is one plain sentence for the person who sent the request or started the service, and says what to do.
"""

from typing import ClassVar, Literal

# What may have been set too low or wrong, by whoever runs the service or the command; each door says how to set it.
Setting = Literal[
    "model",
    "device",
    "max_pixels",
    "max_out_of_core_pixels",
    "max_out_of_core_bytes",
    "max_decode_bytes",
    "max_decode_s",
    "max_preview_bytes",
]


class KaryometerError(Exception):
    """Base class of every error that Karyometer raises on purpose; `setting` is what would have prevented it.

    Attributes
    ----------
    code
        What programs know it by; a code that was released never changes.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, setting: Setting | None = None) -> None:
        super().__init__(message)
        self.setting = setting


class SettingsError(KaryometerError):
    """The environment asks for something impossible."""


class ModelError(KaryometerError):
    """The model or its card is missing, damaged, or not what the service expects."""


class DeviceError(ModelError):
    """The asked-for device is not on this machine."""


class UploadError(KaryometerError):
    """The request does not carry what was asked for."""


class EmptyUploadError(UploadError):
    """An uploaded file has no bytes."""

    code = "empty_upload"


class MalformedUploadError(UploadError):
    """A multipart body cannot be taken apart."""

    code = "malformed_upload"


class MissingPartError(UploadError):
    """A part that the request needs is absent."""

    code = "missing_part"


class UnknownPartError(UploadError):
    """The request has a part that nobody asked for, or one of them twice."""

    code = "unknown_part"


class UploadTooLargeError(UploadError):
    """The request has more bytes than the limit."""

    code = "upload_too_large"


class UploadTooSlowError(UploadError):
    """The request did not arrive within the time limit."""

    code = "upload_too_slow"


class ImageError(KaryometerError):
    """The file is not an image that can be measured."""


class UnreadableImageError(ImageError):
    """The file's format is known, but its content is damaged or incomplete."""

    code = "unreadable_image"


class UnsupportedImageError(ImageError):
    """The file's format or pixel type is not one that is read."""

    code = "unsupported_image"


class ImageTooLargeError(ImageError):
    """The image has more pixels than the limit."""

    code = "image_too_large"


class SizeMismatchError(KaryometerError):
    """Image and ground-truth mask differ in size."""

    code = "size_mismatch"


class OptionError(KaryometerError):
    """An option is unknown or has no such value."""

    code = "invalid_option"


class TableError(KaryometerError):
    """A table of measurements does not hold what the question that is asked of it needs."""

    code = "unusable_table"


class LayoutError(TableError):
    """A layout cannot be read, or does not say which well got what."""

    code = "unusable_layout"


class ChannelNeededError(KaryometerError):
    """The image has several channels, and nothing says which one holds the nuclei.

    Attributes
    ----------
    channels
        What they are called, where they have names.
    """

    code = "channel_needed"

    def __init__(self, message: str, channels: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.channels = channels


class FormatError(KaryometerError):
    """The result does not fit into the file format that was asked for."""

    code = "format_too_small"


class ExperimentError(KaryometerError):
    """An experiment cannot do what was asked of it."""


class NoSuchError(ExperimentError):
    """There is no such experiment or image, or it is another's."""

    code = "no_such_experiment"


class ConflictError(ExperimentError):
    """The experiment's state, or a file that it has, forbids what was asked."""

    code = "conflict"


class NoPreviewError(KaryometerError):
    """An image that was sent to be looked at is not kept any more, or is another's."""

    code = "no_such_preview"


class ApiKeyError(KaryometerError):
    """The request has no API key, or one that is not known."""

    code = "api_key_needed"


class HostError(KaryometerError):
    """The request names a host that is not this service's."""

    code = "foreign_host"


class NoRoomError(KaryometerError):
    """A temporary file cannot be written."""

    code = "no_room"


class OutputError(KaryometerError):
    """Results cannot be written where they belong."""


class ServerError(KaryometerError):
    """A service elsewhere refuses all that it is sent."""


class NotReadyError(KaryometerError):
    """The model is not loaded yet, or the service is stopping."""

    code = "not_ready"


class RetryLaterError(KaryometerError):
    """A limit is reached for now; `retry_after_s` is when to ask again."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QuotaError(RetryLaterError):
    """The API key has used up its pixels."""

    code = "quota_used_up"


class BusyError(RetryLaterError):
    """The service has as much to do as it may."""

    code = "busy"


class ClientGoneError(KaryometerError):
    """The client closed its connection before its turn came."""

    code = "client_gone"
