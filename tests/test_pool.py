"""The law of the ImagePool. A picture here is one pixel whose value is its number, so it can be followed."""

import numpy as np
import pytest
from keras import ops

from r2f.pool import ImagePool


def numbered(numbers):
    """Pictures (N, 1, 1, 3) with these numbers as their value."""
    return np.repeat(np.asarray(numbers, "float32"), 3).reshape(-1, 1, 1, 3)


def numbers(pictures):
    pictures = ops.convert_to_numpy(pictures)
    assert (pictures == pictures[..., :1]).all()
    return pictures[:, 0, 0, 0].astype(int).tolist()


def stored(pool):
    return numbers(pool.pictures)[:int(pool.filled)]


def follow(pool, batch, calls):
    """Show `calls` batches of new pictures; yield what was stored before, shown, returned, stored after."""
    after = stored(pool)
    for start in range(1, calls * batch + 1, batch):
        before, shown = after, list(range(start, start + batch))
        returned = numbers(pool(numbered(shown)))
        after = stored(pool)
        yield before, shown, returned, after


@pytest.mark.parametrize("size, batch", [(1, 1), (4, 1), (4, 2), (5, 2), (5, 3), (4, 4)])
def test_it_keeps_the_law(size, batch):
    """Sizes that batches don't divide leave slots empty; what is in those is never returned."""
    pool = ImagePool(size, 1, seed=3)
    fills = size // batch
    for call, (before, shown, returned, after) in enumerate(follow(pool, batch, fills + 40)):
        if call < fills:
            assert returned == shown and after == before + shown
            continue
        assert len(before) == len(after) == fills * batch
        expected = list(before)
        for fake, back in zip(shown, returned, strict=True):
            if back != fake:  # a stored one came back, and the fake is in its place now
                expected[before.index(back)] = fake
        assert after == expected
        assert len(set(returned)) == batch


@pytest.mark.parametrize("batch, calls", [(1, 300), (8, 150)])
def test_half_of_the_fakes_are_swapped_and_every_stored_one_is_equally_likely(batch, calls):
    size = 8
    pool = ImagePool(size, 1, seed=5)
    swaps, places = 0, np.zeros(size, int)
    for before, shown, returned, _ in list(follow(pool, batch, size // batch + calls))[size // batch:]:
        for fake, back in zip(shown, returned, strict=True):
            if back != fake:
                swaps += 1
                places[before.index(back)] += 1
    draws = calls * batch
    half = abs(swaps - draws / 2) / np.sqrt(draws / 4)
    even = np.abs(places - swaps / size).max() / np.sqrt(swaps / size * (1 - 1 / size))
    print(f"\nbatch {batch}: {swaps} swaps of {draws} ({half:.1f} sigma), places within {even:.1f} sigma")
    assert half < 4 and even < 4


def test_the_swaps_of_one_batch_are_drawn_apart():
    pool = ImagePool(8, 1, seed=7)
    swaps = [sum(a != b for a, b in zip(shown, returned, strict=True))
             for _, shown, returned, _ in follow(pool, 4, 60)]
    assert set(swaps[2:]) == {0, 1, 2, 3, 4}


def test_a_pool_of_size_0_returns_every_fake():
    pool = ImagePool(0, 1, seed=0)
    for n in range(20):
        assert numbers(pool(numbered([n, n + 1]))) == [n, n + 1]
    assert pool.weights == []


def test_whole_pictures_come_back_unchanged():
    chance = np.random.default_rng(0)
    pool = ImagePool(3, 8, seed=1)
    seen = []
    for _ in range(20):
        seen.append(chance.uniform(-1, 1, (1, 8, 8, 3)).astype("float32"))
        returned = ops.convert_to_numpy(pool(seen[-1]))
        assert any((returned == each).all() for each in seen)


def test_a_pool_with_its_state_put_back_goes_on_as_if_nothing_had_happened():
    first, second = ImagePool(4, 1, seed=1), ImagePool(4, 1, seed=2)
    list(follow(first, 2, 7))
    for ours, theirs in zip(second.variables, first.variables, strict=True):
        ours.assign(theirs.value)
    assert list(follow(first, 2, 10)) == list(follow(second, 2, 10))


def test_nothing_in_a_pool_is_trained():
    assert ImagePool(4, 1, seed=0).trainable_variables == []
