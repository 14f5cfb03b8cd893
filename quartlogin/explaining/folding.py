"""Fewer arrows: repeats are drawn once, and of very many steps the middle is left out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from .arrows import Arrow, Lane

_LONGEST_PERIOD: Final = 8  # arrows
_MOST: Final = 60  # arrows of a recording
_AT_END: Final = 12


@dataclass(frozen=True, slots=True)
class Block:
    """Arrows in a row that came a number of times."""

    arrows: tuple[Arrow, ...]
    times: int = 1


def fold(arrows: Sequence[Arrow]) -> list[Block]:
    """Fold repeats into blocks, and leave out the middle of what is still too long."""
    return _shorten(_merge_repeats(arrows))


def _merge_repeats(arrows: Sequence[Arrow]) -> list[Block]:
    blocks, position = [], 0
    signs = [_sign(arrow) for arrow in arrows]
    while position < len(arrows):
        period, times = _repeat_at(signs, position)
        blocks.append(Block(tuple(arrows[position : position + period]), times))
        position += period * times
    return blocks


def _sign(arrow: Arrow) -> Arrow:
    """Return what arrows have in common that look the same; the decisive one looks like no other."""
    return arrow if arrow.is_decisive else replace(arrow, number=None, seconds=None)


def _repeat_at(signs: Sequence[Arrow], start: int) -> tuple[int, int]:
    """Return the period that covers most arrows from here on, and how often it comes."""
    best = (1, 1)
    for period in range(1, _LONGEST_PERIOD + 1):
        times, block = 1, signs[start : start + period]
        while signs[start + period * times : start + period * (times + 1)] == block:
            times += 1
        if times > 1 and period * times > best[0] * best[1]:
            best = (period, times)
    return best


def _shorten(blocks: list[Block]) -> list[Block]:
    if sum(len(block.arrows) for block in blocks) <= _MOST:
        return blocks
    at_begin = _MOST - _AT_END
    kept = [
        index
        for index, block in enumerate(blocks)
        if index < at_begin or index >= len(blocks) - _AT_END or any(arrow.is_decisive for arrow in block.arrows)
    ]
    short = [blocks[kept[0]]]
    for former, index in pairwise(kept):
        left_out = sum(len(block.arrows) * block.times for block in blocks[former + 1 : index])
        short += [_gap(left_out)] if left_out else []
        short.append(blocks[index])
    return short


def _gap(left_out: int) -> Block:
    return Block((Arrow(Lane.QUARTLOGIN, Lane.QUARTLOGIN, f"… {left_out} more steps …"),))
