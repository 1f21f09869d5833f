"""What can go wrong while something is started, named for what the caller does next."""


class InfraError(Exception):
    """A part of the environment is not there."""


class MissingTool(InfraError):
    """Something has to be installed first; the message says what."""


class InstallFailed(InfraError):
    """The jars could not be fetched or are not the ones expected. Read the message, then retry."""


class StartFailed(InfraError):
    """A process ended or never answered; the message carries the end of its log."""


class NotRunning(InfraError):
    """It has to be started before it can be asked."""
