"""The pair that is shipped: it loads, it paints, and it finds the way back."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from r2f import drawn
from r2f.bloom import CHECKPOINTS, Bloomer


@pytest.mark.parametrize("folder", sorted(CHECKPOINTS.iterdir()), ids=lambda folder: folder.name)
def test_a_shipped_pair_changes_a_photo_visibly_and_finds_the_way_back(folder):
    bloomer = Bloomer.load(folder)
    similarity = []
    for seed in (100, 101, 102, 103):
        photo = drawn.rime(seed, 256, kind="tree")
        flower, again = (np.asarray(picture) for picture in bloomer.round_trip(photo))
        assert np.abs(flower.astype(int) - photo).mean() > 15  # of 255
        similarity.append(structural_similarity(photo, again, channel_axis=2, data_range=255))
    print(f"{folder.name}: SSIM of the way back {np.mean(similarity):.2f} on drawn trees")
    assert np.mean(similarity) >= 0.6
    assert (folder / "README.md").exists()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 50e6
