"""rime2flower: a photo of rime blooms into a flower painting, and freezes back.

The map, in reading order; docs/ARCHITECTURE.md says why.

    config      every setting of a training, and the presets
    images      untrusted bytes <-> RGB arrays: the only decoder
    drawn       rime and flowers drawn by code
    source      folders, zips, data sets -> folders of pictures
    shell       this Python, as it is typed
    likeness    which pictures show the same
    doctor      what is wrong with a folder of pictures
    dataset     two folders -> a prepared data set
    data        folders -> pictures -> the batch of any step
    networks    the generator and the discriminator
    pool        earlier fakes, for the discriminators
    augment     differentiable augmentation, for the discriminators
    projected   a discriminator with trained eyes
    cyclegan    the objective on one screen
    distil      a pair that learns from a pair
    checkpoint  a training's state
    saver       writes checkpoints while the training goes on
    files       files that others made, read strictly
    pair        the two generators as a folder
    archive     python -m r2f.checkpoint
    keras2      the .h5 generators of 2023
    hub         a published pair, fetched and verified
    run         the run directory
    preflight   what a training will need
    heartbeat   status.json, every second
    usage       memory, GPU and disk at this moment
    events      TensorBoard's files
    output      what a training makes of its model: pair, sample sheet
    quality     how good its pair is, and the best so far
    recorder    what a training leaves behind
    ending      how a training ends
    allocator   how the C library hands out memory to it
    train       python -m r2f.train
    keeper      the process beside a training
    runner      start, stop and watch a training
    device      what a training here would compute on
    speed       how long it would take
    card        the card of a pair that came out of a training
    bloom       Bloomer, and python -m r2f.bloom
    brush       pictures larger than a megapixel
    compare     photo and way back, in figures
    film        the bloom film
    metrics     what pictures measure
    features    pictures to vectors
    evaluate    python -m r2f.evaluate
    report      an evaluation as one HTML file
    ui          the page
"""
