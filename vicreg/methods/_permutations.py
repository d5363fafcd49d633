"""Permutations of nine patches that differ from each other in as many places as they can."""

from itertools import permutations, product

import numpy as np

PLACES = 9


def greedy_mean(count: int, seed: int) -> np.ndarray:
    """(count, 9): a random one, then again and again the one with the largest mean distance to those chosen.

    This is how the table of Noroozi and Favaro, ECCV 2016, was made; two of them may differ in no more than 2 places.
    """
    every = np.array(list(permutations(range(PLACES))), np.int8)  # (9!, 9)
    chosen, total = [int(np.random.default_rng(seed).integers(len(every)))], np.zeros(len(every))
    while len(chosen) < count:
        total += (every != every[chosen[-1]]).sum(axis=1)
        total[chosen[-1]] = -np.inf
        chosen.append(int(total.argmax()))
    return every[chosen].astype(np.int64)


def largest_minimum(count: int) -> np.ndarray:
    """(count, 9): any two differ in all 9 places for a count up to 9, in 8 up to 72, in 7 or more up to 504.

    No larger sets differ so much (Frankl, Deza, On the maximum number of permutations with given maximal or minimal
    distance, 1977): they are the groups x + b and a x + b over the field of 9 elements, and (a x + b) / (c x + d) over
    that of 8 with infinity. Raises ValueError for a larger count.
    """
    if count > 504:
        raise ValueError(f"only 504 permutations of {PLACES} patches differ in 7 places or more, not {count}")
    if count <= 72:
        return _affine()[:count]
    return np.random.default_rng(0).permutation(_fractional())[:count]  # in no order: of parts no place is preferred


def _affine() -> np.ndarray:
    """a x + b over GF(9) = GF(3)[i], i^2 = -1, for all a but 0, a = 1 first; x = 3 x1 + x0 stands for x0 + x1 i."""

    def multiplied(a: int, x: int) -> int:
        (a1, a0), (x1, x0) = divmod(a, 3), divmod(x, 3)
        return 3 * ((a0 * x1 + a1 * x0) % 3) + (a0 * x0 - a1 * x1) % 3

    def added(x: int, b: int) -> int:
        return 3 * ((x // 3 + b // 3) % 3) + (x + b) % 3

    return np.array([[added(multiplied(a, x), b) for x in range(9)] for a in range(1, 9) for b in range(9)])


def _fractional() -> np.ndarray:
    """(a x + b) / (c x + d) over GF(8) = GF(2)[t], t^3 = t + 1, and infinity, which is 8."""

    def multiplied(a: int, x: int) -> int:
        result = 0
        for bit in range(3):
            result ^= (a << bit) if x >> bit & 1 else 0
        for bit in (4, 3):
            result ^= (0b1011 << (bit - 3)) if result >> bit & 1 else 0
        return result

    inverse = {a: next(x for x in range(1, 8) if multiplied(a, x) == 1) for a in range(1, 8)}

    def image(a: int, b: int, c: int, d: int, x: int) -> int:
        above, below = (a, c) if x == 8 else (multiplied(a, x) ^ b, multiplied(c, x) ^ d)
        return multiplied(above, inverse[below]) if below else 8

    maps = [m for m in product(range(8), repeat=4) if multiplied(m[0], m[3]) != multiplied(m[1], m[2])]
    return np.array(list(dict.fromkeys(tuple(image(a, b, c, d, x) for x in range(9)) for a, b, c, d in maps)))
