"""What a picture, or a set of pictures, measures: numpy in, numbers out.

Knows nothing about pairs, networks or files. Only `way_back`, `colour_difference_map`, `droplets` and `stains` need scikit-image,
which they import themselves; all else needs NumPy alone and may run inside a training.

Pictures are uint8 arrays (H, W, 3), sets of them (N, H, W, 3), all of one size. Colours are CIELAB under D65.
"""

from collections.abc import Callable

import numpy as np

SUBSETS = 100
PROJECTIONS = 32  # directions of a sliced Wasserstein distance
ORIENTATIONS = 8
SCALES = (1, 2, 4)  # pixels of the picture to one pixel of the gradient
COLOUR_GRID = 16  # points of a picture to a side, whose colours are compared
FLAT = 2.0  # standard deviation of L in a window, below which a photo is flat there
WINDOW = 17  # pixels, of that window
HANN = np.hanning(33)[:32].astype(np.float32)
EQUAL_PSNR = 99.0  # decibels; infinity has no mean
NO_TEXTURE = 1e-7  # added to powers that are about 1, so that nothing over nothing, rounded or not, is 1
DROPLET, STAIN = 9.0, 18.0  # Lab units by which they stand out of their surroundings


# --- sets of pictures, as vectors -----------------------------------------------------------------------------------

def kid(x: np.ndarray, y: np.ndarray) -> float:
    """Kernel Inception Distance of two sets of features, (N, D) and (M, D): 0 for two samples of one distribution.

    The unbiased estimate of the squared MMD with the kernel (x.y / D + 1)^3 (Binkowski et al. 2018, arXiv:1801.01401, section
    3.1). Unbiased means that it may fall below 0. Raises ValueError for fewer than two of either.
    """
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise ValueError(f"KID needs two pictures of each set, not {n} and {m}.")
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    within_x, within_y, between = cubic_kernel(x, x), cubic_kernel(y, y), cubic_kernel(x, y)
    return float((within_x.sum() - np.trace(within_x)) / (n * (n - 1)) + (within_y.sum() - np.trace(within_y)) / (m * (m - 1))
                 - 2 * between.mean())


def cubic_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def sliced_wasserstein(x: np.ndarray, y: np.ndarray, projections: int = PROJECTIONS) -> float:
    """Mean 1-Wasserstein distance of two clouds of as many points, (N, D) each, along fixed random directions; in their unit."""
    if x.shape != y.shape:
        raise ValueError(f"a sliced Wasserstein distance compares clouds of one shape, not {x.shape} and {y.shape}.")
    directions = np.random.default_rng(0).standard_normal((x.shape[1], projections))
    directions /= np.linalg.norm(directions, axis=0)
    return float(np.abs(np.sort(x @ directions, axis=0) - np.sort(y @ directions, axis=0)).mean())


def colour_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Sliced Wasserstein distance of the colours of two sets, (N, P, 3) each: P colours of every picture."""
    return sliced_wasserstein(x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1]))


def comparison(distance: Callable, before: np.ndarray, after: np.ndarray, real: np.ndarray, subsets: int = SUBSETS) -> dict:
    """How far `before` and `after` are from `real`, and which part of the gap is closed; each a {"value", "error"}.

    `before` and `after` are of the same pictures in the same order, anything indexed by picture that `distance` compares.
    Value and error are mean and standard deviation over random subsets. A subset holds half as many pictures as the smaller
    set, so the deviation is about the standard error of a figure from all of them. "floor" compares one half of `real` with
    the other, the same subset for all figures: for an unbiased distance it is 0 give or take chance, which is its error.

    gap_closed = 1 - after / before: 0 for doing nothing, near 1 for what can't be told from `real`.
    """
    size = min(len(before), len(real)) // 2
    if size < 2:
        raise ValueError(f"Figures need at least 4 pictures of each domain, not {len(before)} and {len(real)}; name more.")
    chance = np.random.default_rng(0)
    rows = []
    for _ in range(subsets):
        chosen, halves = chance.permutation(len(before))[:size], chance.permutation(len(real))
        these, others = real[halves[:size]], real[halves[size:2 * size]]
        rows.append((distance(before[chosen], these), distance(after[chosen], these), distance(others, these)))
    far, near, floor = np.array(rows).T
    # A subset's own quotient would explode where its denominator is near 0; to first order this is its deviation.
    quotient = near.mean() / far.mean()
    spread = np.std((near - quotient * far) / far.mean())
    return {"before": estimate(far), "after": estimate(near), "floor": estimate(floor),
            "gap_closed": {"value": float(1 - quotient), "error": float(spread)}}


def estimate(values) -> dict:
    return {"value": float(np.mean(values)), "error": float(np.std(values))}


def spread(values) -> dict:
    """A figure of every picture, as mean, standard error of the mean, and what it ranges over."""
    values = np.asarray(values, float)
    return {"value": float(values.mean()), "error": float(values.std(ddof=min(1, len(values) - 1)) / len(values) ** 0.5),
            "median": float(np.median(values)), "smallest": float(values.min()), "largest": float(values.max())}


# --- colours and gradients --------------------------------------------------------------------------------------------

def lab(pixels: np.ndarray) -> np.ndarray:
    """uint8 sRGB (..., 3) to CIELAB under D65, float32: L from 0 to 100. scikit-image's `rgb2lab`, without needing it."""
    level = np.arange(256) / 255
    linear = np.where(level > 0.04045, ((level + 0.055) / 1.055) ** 2.4, level / 12.92).astype(np.float32)[pixels]
    to_xyz = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
    xyz = linear @ (to_xyz / np.array([[0.95047], [1.0], [1.08883]])).T.astype(np.float32)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + np.float32(16 / 116))
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def colours(pixels: np.ndarray) -> np.ndarray:
    """The Lab colours of a grid of points of every picture: (N, H, W, 3) to (N, 256, 3)."""
    rows, columns = ((np.arange(COLOUR_GRID) + 0.5) * side / COLOUR_GRID for side in pixels.shape[1:3])
    points = pixels[:, rows.astype(int)][:, :, columns.astype(int)]
    return lab(points).reshape(len(pixels), -1, 3)


def gradients(pixels: np.ndarray) -> np.ndarray:
    """Oriented-gradient histograms: (N, H, W, 3) to (N, scales x orientations), mean change of L a pixel in each direction.

    Of every picture as a whole, at three scales from fine to coarse; horizontal edges come first.
    """
    return np.stack([gradient_histogram(lab(picture)[..., 0]) for picture in pixels])


def gradient_histogram(lightness: np.ndarray) -> np.ndarray:
    histograms = []
    for scale in SCALES:
        small = shrunk(lightness, scale)
        down, right = np.diff(small, axis=0), np.diff(small, axis=1)
        down, right = (down[:, 1:] + down[:, :-1]) / 2, (right[1:] + right[:-1]) / 2  # both at the corner of four pixels
        size = np.hypot(down, right)
        place = np.arctan2(right, down) % np.pi / np.pi * ORIENTATIONS  # 0 where L changes from top to bottom
        lower, share = place.astype(int), place % 1
        histogram = sum(np.bincount(each.ravel() % ORIENTATIONS, (size * weight).ravel(), ORIENTATIONS)
                        for each, weight in ((lower, 1 - share), (lower + 1, share)))
        histograms.append(histogram / size.size)
    return np.concatenate(histograms)


def shrunk(plane: np.ndarray, factor: int) -> np.ndarray:
    """Means of blocks: (H, W) to (H / factor, W / factor), a remainder left out."""
    height, width = (side // factor * factor for side in plane.shape)
    return plane[:height, :width].reshape(height // factor, factor, width // factor, factor).mean((1, 3))


# --- the way back -------------------------------------------------------------------------------------------------------

def way_back(photo: np.ndarray, again: np.ndarray) -> dict[str, float]:
    """How near a way back comes to its photo, both uint8 (H, W, 3), by scikit-image: SSIM (Wang et al. 2004; 1 is equal), PSNR
    in decibels (99 where they are equal), CIEDE2000 as mean over the pixels and between the mean colours (0 is equal)."""
    from skimage.color import deltaE_ciede2000, rgb2lab
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity
    first, second = rgb2lab(photo), rgb2lab(again)
    return {"ssim": float(structural_similarity(photo, again, channel_axis=2, data_range=255)),
            "psnr": float(peak_signal_noise_ratio(photo, again, data_range=255)) if (photo != again).any() else EQUAL_PSNR,
            "ciede2000": float(deltaE_ciede2000(first, second).mean()),
            "ciede2000_of_means": float(deltaE_ciede2000(first.mean((0, 1)), second.mean((0, 1))))}


def colour_difference_map(photo: np.ndarray, again: np.ndarray) -> np.ndarray:
    """CIEDE2000 of every pixel, (H, W)."""
    from skimage.color import deltaE_ciede2000, rgb2lab
    return deltaE_ciede2000(rgb2lab(photo), rgb2lab(again))


def light(picture: np.ndarray, made: np.ndarray, cell: int = 4) -> float:
    """Whether light and dark are where they were, in a picture and what was made of it, both (H, W, 3): the correlation of L in
    cells of 4 x 4 pixels. 1 for all of them, -1 where they are swapped; 0 for a picture that is one plane."""
    before, after = (shrunk(lab(each)[..., 0], cell).ravel() for each in (picture, made))
    before, after = before - before.mean(), after - after.mean()
    return float((before @ after) / max(np.linalg.norm(before) * np.linalg.norm(after), 1e-6))


# --- what is ugly ---------------------------------------------------------------------------------------------------------

def checkerboard(pixels: np.ndarray) -> float:
    """Strength of the patterns of 2 and 4 pixels that upsampling leaves, in a picture (H, W, 3), H and W at least 64.

    The power of L at exactly these periods over the power at the periods beside them, along rows or columns, whichever is
    most: about 1 where there is none, whatever else is in the picture, and 1 where there is nothing. From windows of 32 pixels
    that count alike, so a pattern in a pale sky is not drowned by the twigs.
    """
    lightness, window = lab(pixels)[..., 0], np.outer(HANN, HANN)
    blocks = np.lib.stride_tricks.sliding_window_view(lightness, window.shape)[::16, ::16].reshape(-1, *window.shape)
    power = np.abs(np.fft.fft2((blocks - blocks.mean((1, 2), keepdims=True)) * window)) ** 2
    ratios = []
    for axis in (1, 2):
        by_period = power.sum(axis)[:, :17]  # (blocks, periods in 32 pixels)
        by_period /= by_period[:, 4:].mean(1, keepdims=True) + 1e-3  # a block without any texture counts for nothing
        mean = by_period.mean(0) + NO_TEXTURE
        # The window spreads a peak by one place to each side. At 16 it ends: beside a period of 2 there are only longer ones.
        ratios += [mean[8] / np.sqrt(mean[[5, 6]].mean() * mean[[10, 11]].mean()), mean[16] / mean[[13, 14]].mean()]
    return float(max(ratios))


def halo(pixels: np.ndarray, border: int = 6) -> float:
    """How much more the colour changes at the border of a picture (H, W, 3) than further inside: about 1 where there is no halo.

    Mean Lab difference between a strip of `border` pixels and the next one, in pieces of 32 pixels, at the outermost strip
    over the mean of those from the fourth to the eighth. The sides must be at least 9 strips long.
    """
    colour, changes = lab(pixels), []
    for side in (colour, colour[::-1], colour.swapaxes(0, 1), colour.swapaxes(0, 1)[::-1]):
        columns = side.shape[1] // 32 * 32
        strips = side[:9 * border, :columns].reshape(9, border, columns // 32, 32, 3).mean((1, 3))
        changes.append(np.linalg.norm(np.diff(strips, axis=0), axis=-1).mean(1))  # (8,) from outside to inside
    change = np.mean(changes, axis=0)
    return float(change[0] / max(change[3:].mean(), 1e-6))


def colour_noise(pixels: np.ndarray) -> float:
    """Fine detail in the colour of a picture (H, W, 3), in Lab units: root mean square of what a mean over 3 x 3 pixels takes
    from a and b. Photos have little of it, paintings more; specks of wrong colour have most."""
    colour = lab(pixels)[..., 1:]
    smooth = np.lib.stride_tricks.sliding_window_view(colour, (3, 3), (0, 1)).mean((-2, -1))
    return float(np.sqrt(((colour[1:-1, 1:-1] - smooth) ** 2).sum(-1).mean()))


def droplets(photo: np.ndarray, painting: np.ndarray) -> np.ndarray:
    """Row and column of the spots of about 4 to 12 pixels that a painting has where its photo is flat, (K, 2); both (H, W, 3).

    A droplet stands out of its surroundings in the middle of a window of the photo in which L hardly varies. So a flower on a
    twig is none, nor is a bird in the sky.
    """
    from scipy.ndimage import uniform_filter
    lightness = lab(photo)[..., 0].astype(np.float64)
    variance = uniform_filter(lightness ** 2, WINDOW) - uniform_filter(lightness, WINDOW) ** 2
    places = spots(lab(painting))
    return places[variance[tuple(places.T)] < FLAT ** 2]


def stains(photo: np.ndarray, again: np.ndarray) -> np.ndarray:
    """Row and column of the spots of that size in the difference between a way back and its photo, (K, 2); both (H, W, 3)."""
    return spots(lab(again) - lab(photo), STAIN)


def spots(colour: np.ndarray, least: float | None = None) -> np.ndarray:
    """Peaks in the difference of two Gaussians of colours (H, W, 3), by at least so many units (default `DROPLET`)."""
    from skimage.feature import peak_local_max
    from skimage.filters import gaussian
    height = np.linalg.norm(gaussian(colour, 2, channel_axis=2) - gaussian(colour, 8, channel_axis=2), axis=-1)
    return peak_local_max(height, min_distance=6, threshold_abs=least or DROPLET, exclude_border=False)
