"""Errors that more than one module raises."""


class ProblemError(ValueError):
    """The arrays or numbers given do not describe a problem that can be solved."""
