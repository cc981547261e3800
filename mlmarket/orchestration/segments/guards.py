"""Can tonight's size of a segment be believed?

A table that arrived half, or twice, must not empty a segment or flood it: journeys would let go
of everybody, or write to everybody.
"""

from mlmarket.orchestration.segments.definition import Guard

__all__ = ["objection"]


def objection(guard: Guard, *, members: int, before: int, entered: int, left: int) -> str | None:
    """Say what speaks against a result.

    Parameters
    ----------
    guard : Guard
        The sizes that are believed.
    members : int
        How many people would be in the segment now.
    before : int
        How many were in.
    entered, left : int
        How many would come and go.

    Returns
    -------
    str or None
        A sentence with the numbers; None where nothing speaks against it.

    Examples
    --------
    >>> objection(Guard(least=100), members=12, before=210, entered=0, left=198)
    'guarded: 12 people would be in it, and the least is 100; the 210 of the last time stay'
    """
    limits = []
    if guard.least is not None and members < guard.least:
        limits.append(f"{members:,} people would be in it, and the least is {guard.least:,}")
    if guard.most is not None and members > guard.most:
        limits.append(f"{members:,} people would be in it, and the most is {guard.most:,}")
    if guard.change is not None and entered + left > guard.change * before > 0:
        limits.append(
            f"{entered:,} would come and {left:,} would go, and a change of {guard.change:.0%} of "
            f"{before:,} is the most"
        )
    if not limits:
        return None
    return f"guarded: {'; '.join(limits)}; the {before:,} of the last time stay"
