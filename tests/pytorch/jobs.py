"""The small jobs that are trained: every mode, every network type, every normalisation, over the quarter-size images."""

ROOT = {
    "preprocessing": "t1-linear", "diagnoses": ["AD", "CN"], "n_splits": 2, "split": [0], "epochs": 2, "batch_size": 4,
    "use_cpu": True, "nproc": 0, "learning_rate": 1e-3, "weight_decay": 1e-4, "dropout": 0.1, "seed": 5,
}
MODES = {
    "image": {},
    "patch": {"patch_size": 21, "stride_size": 15, "selection_threshold": 0.5},
    "roi": {"roi_list": ["left"]},
    "slice": {"slice_direction": 1, "discarded_slices": [24, 25]},
}
NORMALISATIONS = {"batch": "BatchNorm", "instance": "InstanceNorm", "none": None}


def blocks(*described):
    """(out channels, convolutions, reduction) of each block."""
    given, convolutions = None, {}
    for i, (out, count, reduction) in enumerate(described):
        convolutions["conv%d" % i] = {"in_channels": given, "out_channels": out, "n_conv": count, "d_reduction": reduction}
        given = out
    return convolutions


POOLED = blocks((4, 2, "MaxPooling"), (8, 1, "MaxPooling"))
STRIDED = blocks((4, 1, "stride"), (8, 2, "stride"))


def job(mode, network_type, normalisation, convolutions, **more):
    shape = {"mode": mode, "network_type": network_type, "network_normalization": NORMALISATIONS[normalisation]}
    full = {"n_fcblocks": 2} if network_type != "autoencoder" else {}
    return {**ROOT, **MODES[mode], **shape, "convolutions": convolutions, **full, **more}


def jobs():
    """Name and options of each job, paths aside."""
    for mode in ("image", "patch", "slice"):
        for i, normalisation in enumerate(NORMALISATIONS):
            yield "%s-cnn-%s" % (mode, normalisation), job(mode, "cnn", normalisation, (POOLED, STRIDED)[i % 2])
    # A row after every batch, beside those at the end of an epoch.
    yield "image-cnn-steps", job("image", "cnn", "batch", POOLED, evaluation_steps=1, sampler="weighted")
    yield "roi-cnn", job("roi", "cnn", "batch", POOLED)
    yield "roi-cnn-uncropped", job("roi", "cnn", "instance", STRIDED, uncropped_roi=True, roi_list=["left", "right"])
    yield "patch-multicnn", job("patch", "multicnn", "batch", STRIDED, patch_size=26, stride_size=16, epochs=1)
    yield "image-autoencoder-pool", job("image", "autoencoder", "batch", POOLED)
    yield "image-autoencoder-stride", job("image", "autoencoder", "instance", STRIDED)
    yield "slice-autoencoder", job("slice", "autoencoder", "none", POOLED, discarded_slices=[25, 25])
