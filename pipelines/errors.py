"""The one error for what a person can mend: wrong usage, bad input, a full disk."""


class InputError(Exception):
    """Something the user gave is not what was expected; the doors print it as one line and return exit code 2.

    Args:
        given: what was given, named as the user named it.
        expected: what would have been right.
        mend: what to type or do so that it works.
    """

    def __init__(self, given: str, expected: str, mend: str):
        self.given, self.expected, self.mend = given, expected, mend
        super().__init__(f"{given}; expected {expected}; {mend}".replace("\n", " "))
