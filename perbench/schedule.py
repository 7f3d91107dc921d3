"""In which order the models of a run are started, round by round. Pure.

Models measured one after the other confuse drift of the machine with the model (measurement.md §5). Each round starts
every model once, and over two or more rounds no model stands earlier than another: the sums of their positions differ
by one place at most. The order depends on nothing but the number of models and rounds, so a run that continues later
goes on with the same one.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Launch:
    """One start of one model: what happens between two looks at the schedule."""

    model: str
    round: int
    order: int
    """Position within the round, from 0."""


def schedule(models: Sequence[str], rounds: int) -> tuple[Launch, ...]:
    """Give all launches of a run in the order they happen: `rounds` rounds over all `models`."""
    return tuple(
        Launch(model=models[index], round=number, order=order)
        for number, permutation in enumerate(_permutations(len(models), rounds))
        for order, index in enumerate(permutation)
    )


def _permutations(count: int, rounds: int) -> list[tuple[int, ...]]:
    """Permutations of `count` models: three balanced ones where `rounds` is odd, then orders with their reverses."""
    chosen: list[tuple[int, ...]] = []
    if rounds % 2:
        chosen += _triple(count) if rounds >= 3 else [tuple(range(count))]
    while len(chosen) < rounds:
        # Each pair begins with another model, so that the same one does not open and close every other round.
        first = len(chosen) // 2 % count
        order = tuple((first + step) % count for step in range(count))
        chosen += [order, order[::-1]]
    return chosen


def _triple(count: int) -> list[tuple[int, ...]]:
    """Three permutations over which the positions of each model add up to the same sum (even count: to within one).

    Positions of model i: i; then evens before odds, counted down; then what is missing to the common sum.
    """
    half = (count + 1) // 2
    forward = list(range(count))
    second = [(half - 1 - i // 2) if i % 2 == 0 else (count - 1 - i // 2) for i in range(count)]
    third = [(count - 1 - i // 2) if i % 2 == 0 else (count - half - 1 - i // 2) for i in range(count)]
    return [_by_position(positions) for positions in (forward, second, third)]


def _by_position(positions: Sequence[int]) -> tuple[int, ...]:
    """Turn the position of each model into the sequence of models."""
    return tuple(sorted(range(len(positions)), key=positions.__getitem__))
