"""rime2flower: a photo of rime blooms into a flower painting, and freezes back.

The map, in reading order; docs/ARCHITECTURE.md says why.

    config      every setting of a training, and the presets
    images      untrusted bytes <-> RGB arrays: the only decoder
    drawn       rime and flowers drawn by code
    data        folders -> pictures -> the batch of any step
    networks    the generator and the discriminator
    pool        earlier fakes, for the discriminators
    augment     differentiable augmentation, for the discriminators
    cyclegan    the objective on one screen
    checkpoint  a training's state
    pair        the two generators as a folder
    run         the run directory
    train       python -m r2f.train
    bloom       Bloomer, and python -m r2f.bloom
    ui          the page
"""
