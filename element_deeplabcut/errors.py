"""Every error this package raises on purpose.

Each message is a sentence that says what is wrong and what to do about it. All of them are raised
before anything is written, so catching one means that nothing changed.
"""


class ElementError(Exception):
    """Anything this package refuses or cannot do."""


class SetupError(ElementError):
    """The installation, the linking module or this machine lacks something that all work needs."""


class PathError(ElementError, ValueError):
    """A path is missing, absolute where a relative one is wanted, or leaves every root."""


class ParameterError(ElementError, ValueError):
    """A parameter is missing, unknown, of the wrong type or out of range."""


class ProjectError(ElementError):
    """A DeepLabCut project lacks something or contradicts itself."""


class VideoError(ElementError):
    """A video cannot be decoded, or its files do not form one recording."""


class ModelError(ElementError):
    """A trained model is missing, damaged, or not the one that was registered."""


class ResultError(ElementError):
    """A result file is missing, unsafe, or not the result that was asked for."""


class EngineError(ElementError):
    """DeepLabCut could not train, evaluate or infer."""


class MountError(PathError, SetupError):
    """The root directories are empty on this machine, so whatever is mounted there is not."""


class DeviceError(EngineError, SetupError):
    """An engine cannot use the device that it was told to use, on this machine."""


class MetadataError(ElementError, ValueError):
    """A session or a subject lacks a fact that a file for others must have."""


class QueryError(ElementError, LookupError):
    """A restriction matches no row, or several where one is wanted, or fits no table."""


class DatabaseError(ElementError):
    """The database cannot hold what is to be stored, or is not the one expected."""


class Interrupted(ElementError):  # noqa: N818 -- nothing went wrong
    """Work was stopped from outside before it was done; nothing is wrong with it."""


class Stopped(Interrupted):
    """Work was stopped because its worker has to end; it is done again or resumed later."""


class LeaseLost(Interrupted):
    """Work was stopped because another worker has taken it over."""
