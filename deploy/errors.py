"""Errors of the deploy room: each message says what is wrong and what to do about it."""


class DeployError(Exception):
    """Something that the user can mend; the command line prints the message alone, without a stack."""


class ServiceFailed(DeployError):
    """A service did not start, or died."""


class ToolMissing(DeployError):
    """A program or package that a service needs is not installed."""


class StateConflict(DeployError):
    """The state folder already belongs to running services, or to none."""
