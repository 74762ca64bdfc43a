"""Settings of a training that takes seconds."""

TINY = dict(filters=4, blocks=1, discriminator_filters=4, image_size=32, load_size=40, pool_size=2, precision="float32",
            log_steps=2, sample_steps=0, sample_count=2, steps=8)
OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]  # the same for the command line
