"""The base of every error a user can cause or meet. Apart from `failures`: `perbench --help` loads only this."""


class PerbenchError(Exception):
    """The text is one line: what, where, what to do. Subclasses are in `perbench.failures`."""

    exit_code = 1
