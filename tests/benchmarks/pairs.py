"""Ratios that mean something on a busy machine: measured in interleaved pairs, of which the median counts."""

from collections.abc import Awaitable, Callable
from statistics import median

Measure = Callable[[], Awaitable[float]]


async def median_ratio(name: str, ours: Measure, bare: Measure, pairs: int = 7) -> float:
    """Measure `ours` and `bare` (each a rate: more is better) by turns and print what came out.

    Every second pair begins with the other one, so that neither always has the warmer machine.
    """
    for warming_up in (ours, bare, ours, bare):  # a broker that has just started is several times slower
        await warming_up()
    rates = []
    for turn in range(pairs):
        first, second = (ours, bare) if turn % 2 else (bare, ours)
        one, other = await first(), await second()
        rates.append((one, other) if turn % 2 else (other, one))
    ratios = sorted(mine / theirs for mine, theirs in rates)
    ratio = median(ratios)
    print(
        f"\n{name}: {median(mine for mine, _ in rates):,.0f}/s against {median(theirs for _, theirs in rates):,.0f}/s"
        f" = {ratio:.2f} (median of {pairs} pairs, {ratios[0]:.2f} to {ratios[-1]:.2f})"
    )
    return ratio
