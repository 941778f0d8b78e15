"""Errors that more than one module raises."""


class ProblemError(ValueError):
    """The arrays or numbers given do not describe a problem that can be solved."""


class TooFewDrawsError(ValueError):
    """The stored draws are too few for what was asked of them."""


class MissingExtraError(ImportError):
    """An optional package is not installed; the message names the extra that brings it."""
