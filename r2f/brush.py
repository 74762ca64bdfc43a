"""How large are the strokes? Two ways to paint a picture larger than those the networks learned on.

The size that a generator works at is the size of its brush. The broad brush paints the picture small and carries the change up
along the picture's own detail; the fine brush paints it at full size, tile by tile. Knows nothing about files or pairs.
"""

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from r2f.images import crop_back, pad_to_multiple, resize, to_float, to_uint8

WORKING_PIXELS = 1_000_000  # a larger picture is painted at this size with the broad brush, in tiles of it with the fine
STRIDE = 4  # a generator's pictures have sides that are multiples of this
HALO = 12  # pixels that the layers between two instance norms see beyond a tile, at most
GUIDE_RADIUS = 1  # pixels of the small picture around each, in which painting and photo are compared
GAINS = (-0.7, 0.5)  # some of the photo's own detail always stays: it is what makes the broad brush crisp
GUIDE_NOISE = 4.0  # brightness levels: what varies less than this in the photo is no guide


def paint_broad(paint: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray) -> np.ndarray:
    """A uint8 picture (H, W, 3), painted at `WORKING_PIXELS` at most by `paint`, which gives a picture of the size it gets.

    The change is enlarged and added to the photo, which so keeps its own detail. That alone leaves halos where a twig turns
    from dark to bright: the detail that got lost in the small photo is still as dark as it was. How the painting's brightness
    follows the photo's around each pixel is measured as in the guided filter (He, Sun & Tang 2010), and the lost detail too
    is changed by that much.
    """
    height, width = pixels.shape[:2]
    scale = (WORKING_PIXELS / (height * width)) ** 0.5
    if scale >= 1:
        return paint(pixels)
    small = resize(pixels, (max(32, round(width * scale)), max(32, round(height * scale))))
    change = paint(small).astype(np.float32) - small  # (h, w, 3)
    grey = luminance(small)
    lost = luminance(pixels) - enlarged(grey, (width, height))  # (H, W)
    gains = follows(grey, change)
    painted = np.empty_like(pixels)
    for channel in range(3):  # one after the other: a plane of 24 megapixels takes 100 MB
        plane = enlarged(gains[..., channel], (width, height))
        plane *= lost
        plane += enlarged(change[..., channel], (width, height))
        plane += pixels[..., channel]
        painted[..., channel] = np.rint(plane, out=plane).clip(0, 255)
    return painted


def follows(guide: np.ndarray, change: np.ndarray) -> np.ndarray:
    """By how much each channel changes where the guide (H, W) grows by 1, in windows around each pixel: (H, W, 3).

    The slopes of the least-squares lines, held near 0 where the guide hardly varies, averaged over the windows of a pixel.
    """
    mean = box(guide)
    variance = box(guide * guide) - mean * mean
    slopes = [box((box(guide * plane) - mean * box(plane)) / (variance + GUIDE_NOISE**2)) for plane in np.moveaxis(change, -1, 0)]
    return np.stack(slopes, axis=-1).clip(*GAINS)


def box(plane: np.ndarray) -> np.ndarray:
    """Means over windows of 2 * GUIDE_RADIUS + 1 pixels a side of a plane (H, W), mirrored at its borders."""
    side = 2 * GUIDE_RADIUS + 1
    for axis in (0, 1):
        plane = np.moveaxis(plane, axis, 0)
        padded = np.pad(plane, ((GUIDE_RADIUS, GUIDE_RADIUS), (0, 0)), mode="reflect")
        plane = np.moveaxis(sum(padded[i : i + len(plane)] for i in range(side)) / np.float32(side), 0, axis)
    return plane


def luminance(pixels: np.ndarray) -> np.ndarray:
    return pixels @ np.array([0.299, 0.587, 0.114], np.float32)


def enlarged(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.array(Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.BICUBIC))


class FineBrush:
    """A generator that paints a picture of any size in bounded memory, as if in one piece. Not for two threads at once.

    An instance norm needs the mean and variance over the whole picture. So all tiles are taken to one norm before any goes
    further: there its statistics are measured over all of them together. Between two norms a network sees no further than
    `HALO`, so a tile with such a margin is painted exactly as it would be within the whole: there are no seams.
    """

    def __init__(self, network):
        import keras

        from r2f.networks import GivenNorm, InstanceNorm

        def given(layer):
            return (GivenNorm if isinstance(layer, InstanceNorm) else type(layer)).from_config(layer.get_config())

        self.model = keras.models.clone_model(network, clone_function=given)
        for layer in (layer for layer in network.layers if layer.weights):
            for weight, copied in zip(layer.weights, self.model.get_layer(layer.name).weights, strict=False):
                copied.assign(weight)  # a GivenNorm has two more, behind the others
        self.layers = [layer for layer in self.model.layers if not isinstance(layer, keras.layers.InputLayer)]
        self.norms = [place for place, layer in enumerate(self.layers) if isinstance(layer, GivenNorm)]
        self.inputs = [keras.tree.flatten(layer.input) for layer in self.layers]  # tensors of the graph
        # Tensors are told apart by identity: Keras counts their names anew in every thread.
        self.tensors = {id(tensor): tensor for tensor in (self.model.input, *(layer.output for layer in self.layers))}
        self.maker = {id(layer.output): place for place, layer in enumerate(self.layers)}
        self.stages = {}  # the tensors at its start and its end -> the part of the network between them
        self.jit = keras.backend.backend() == "jax"

    def paint(self, pixels: np.ndarray) -> np.ndarray:
        """A uint8 picture (H, W, 3) to the same."""
        padded, inner = pad_to_multiple(pixels, STRIDE)
        held = {id(self.model.input): padded}  # what the next stage starts from: whole layers, by their tensor
        for place in self.norms:
            crossing = self.crossing(place)
            fresh = [tensor for tensor in crossing if tensor not in held]
            moments, made = [], {}
            for core, results in self.run(held, fresh, padded.shape):
                values = results[0].astype(np.float32).reshape(-1, results[0].shape[-1])
                moments.append((len(values), values.mean(axis=0), values.var(axis=0)))
                shrink = (core[0].stop - core[0].start) // len(results[0])
                if shrink == 1:  # a layer of full size is too large to keep; the next stage makes it again
                    continue
                for tensor, result in zip(fresh, results, strict=True):
                    if tensor not in made:
                        height, width = (length // shrink for length in padded.shape[:2])
                        made[tensor] = np.empty((height, width, result.shape[-1]), result.dtype)
                    made[tensor][within(core, (0, 0), shrink)] = result
            mean, variance = pooled(moments)
            self.layers[place].mean.assign(mean.reshape(1, 1, 1, -1))
            self.layers[place].variance.assign(variance.reshape(1, 1, 1, -1))
            if made:
                held = {tensor: made[tensor] if tensor in made else held[tensor] for tensor in crossing}
        painted = np.empty_like(padded)
        for core, (result,) in self.run(held, [id(self.model.output)], padded.shape):
            painted[core] = to_uint8(result)
        return crop_back(painted, inner)

    def crossing(self, place: int) -> list[int]:
        """The tensors that are made before a layer and used by it (the first) or after it."""
        made = {id(self.model.input), *(id(layer.output) for layer in self.layers[:place])}
        used = [id(tensor) for inputs in self.inputs[place:] for tensor in inputs]
        return list(dict.fromkeys(tensor for tensor in used if tensor in made))

    def run(self, held: dict, wanted: list[int], shape: tuple) -> Iterator[tuple[tuple[slice, slice], list[np.ndarray]]]:
        """Tile by tile: where its core lies in the picture, and there the wanted tensors (h, w, C)."""
        sources, stage = self.stage(held, wanted)
        for window, core in tiles(shape):
            corner = (window[0].start, window[1].start)
            parts = [held[tensor][within(window, (0, 0), shape[0] // len(held[tensor]))] for tensor in sources]
            parts = [to_float(part) if part.dtype == np.uint8 else part for part in parts]
            results = stage.predict_on_batch([part[None] for part in parts])
            results = results if isinstance(results, list) else [results]  # Keras unpacks a list of one
            height = window[0].stop - window[0].start
            yield core, [result[0][within(core, corner, height // result.shape[1])] for result in map(np.asarray, results)]

    def stage(self, held: dict, wanted: list[int]):
        """The held tensors that the wanted ones are made from, and the network that does it."""
        import keras
        key = (tuple(held), tuple(wanted))
        if key not in self.stages:
            sources, left = [], list(wanted)
            while left:
                tensor = left.pop()
                if tensor not in held:
                    left += [id(each) for each in self.inputs[self.maker[tensor]]]
                elif tensor not in sources:
                    sources.append(tensor)
            network = keras.Model([self.tensors[each] for each in sources], [self.tensors[each] for each in wanted])
            network.compile(jit_compile=self.jit)
            self.stages[key] = (sources, network)
        return self.stages[key]


def pooled(moments: list[tuple]) -> tuple[np.ndarray, np.ndarray]:
    """(count, mean, variance) of the parts to mean and variance of the whole."""
    counts, means, variances = (np.array(values, np.float64) for values in zip(*moments, strict=True))
    shares = (counts / counts.sum())[:, None]
    mean = (shares * means).sum(axis=0)
    return mean, (shares * (variances + (means - mean) ** 2)).sum(axis=0)


def tiles(shape: tuple) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Windows of one size over a picture, and the core of each; the cores fill the picture."""
    for rows, core_rows in spans(shape[0]):
        for columns, core_columns in spans(shape[1]):
            yield (rows, columns), (core_rows, core_columns)


def spans(length: int) -> list[tuple[slice, slice]]:
    """The same along one side: cores that begin at multiples of STRIDE, and windows that reach HALO further."""
    count = -(-length // round(WORKING_PIXELS**0.5))
    edges = [round(place * length / count / STRIDE) * STRIDE for place in range(count)] + [length]
    side = min(length, max(stop - start for start, stop in zip(edges, edges[1:], strict=False)) + 2 * HALO)
    starts = [min(max(0, edge - HALO), length - side) for edge in edges[:-1]]
    return [(slice(start, start + side), slice(*core))
            for start, core in zip(starts, zip(edges, edges[1:], strict=False), strict=True)]


def within(area: tuple[slice, slice], corner: tuple[int, int], shrink: int) -> tuple[slice, slice]:
    """An area of the picture in the coordinates of an array that begins at a corner and is that many times as small."""
    return tuple(slice((side.start - start) // shrink, (side.stop - start) // shrink)
                 for side, start in zip(area, corner, strict=True))
