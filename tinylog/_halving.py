"""How far a refused batch is halved in search of the rows that the server will not take. Pure."""

from __future__ import annotations

from tinylog._outcome import Verdict

__all__ = ["Halving"]

_CREDIT = 64  # refusals without a delivery between them
_REWARD = 2  # for each delivery: where good rows are found, looking on is worth it
_MOST = 1000  # refusals for one batch


class Halving:
    """The search in one batch.

    A few bad rows among thousands are found one by one, and their neighbours delivered. A batch of nothing but bad rows
    costs a few dozen requests, not two for each row. What is too large is always halved: it is not in doubt.
    """

    def __init__(self) -> None:
        self._credit = _CREDIT
        self._refusals = 0

    def goes_on(self, outcome: Verdict) -> bool:
        """Tell whether a batch with this outcome is worth halving."""
        if outcome is Verdict.TOO_LARGE:
            return True
        self._credit -= 1
        self._refusals += 1
        return self._credit >= 0 and self._refusals <= _MOST

    def delivered(self) -> None:
        """Note that a part was taken."""
        self._credit += _REWARD
