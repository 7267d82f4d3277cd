"""Builds a job's network in plain PyTorch from its commandline.json, with the same names for the same tensors.

    import network
    net = network.load("searches/first/job-3")

What the network takes is a batch of items, float32, each scaled to [0, 1] (unless the job says `unnormalize`): images, patches
and regions with one channel and three sizes, slices with three equal channels of 224 x 224. Its outputs, through a softmax,
are the probabilities of the classes 0 (CN, sMCI) and 1 (AD, BV, MCI, pMCI).
"""

import json
import os
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

SLOPE = 0.01


def layers(dims):
    """Convolution, transposed convolution, the two normalisations, pooling and its undoing, in 2 or 3 dimensions."""
    if dims == 2:
        return nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.InstanceNorm2d, functional.max_pool2d, functional.max_unpool2d
    return nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, nn.InstanceNorm3d, functional.max_pool3d, functional.max_unpool3d


def odd_front(sizes):
    """Padding for `functional.pad` (last axis first): one zero before every odd axis."""
    return [width for size in reversed(sizes) for width in (size % 2, 0)]


class Pool(nn.Module):
    """A maximum over 2 by 2 of the input, padded with zeros before every odd axis; remembers where each maximum was."""

    def __init__(self, dims):
        super().__init__()
        self.pool = layers(dims)[4]

    def forward(self, x):
        self.sizes = x.shape[2:]
        x = functional.pad(x, odd_front(self.sizes))
        self.padded = x.shape
        x, self.indices = self.pool(x, 2, return_indices=True)
        return x


class Unpool(nn.Module):
    """Puts each value back where the pool found it, and cuts the padding off."""

    def __init__(self, dims, pool):
        super().__init__()
        self.unpool = layers(dims)[5]
        # In a list, so that it is not registered a second time.
        self.pool = [pool]

    def forward(self, x):
        pool = self.pool[0]
        x = self.unpool(x, pool.indices, 2, output_size=pool.padded)
        return x[(...,) + tuple(slice(size % 2, None) for size in pool.sizes)]


class Blocks:
    """The convolutional blocks that a commandline.json describes."""

    def __init__(self, options, dims):
        self.dims, self.norm = dims, options.get("network_normalization", "BatchNorm")
        self.described = list(options["convolutions"].values())
        self.channels = 3 if dims == 2 else 1

    def width_in(self, block):
        return self.channels if block["in_channels"] is None else block["in_channels"]

    def normalised(self, width):
        """The layers between a convolution and the next."""
        batch, instance = layers(self.dims)[2:4]
        norm = {"BatchNorm": [batch], "InstanceNorm": [instance], None: []}[self.norm]
        return [make(width) for make in norm] + [nn.LeakyReLU(SLOPE)]

    def encoder(self):
        conv = layers(self.dims)[0]
        blocks = OrderedDict()
        for i, block in enumerate(self.described):
            modules, width = [], self.width_in(block)
            for n in range(block["n_conv"]):
                last = n == block["n_conv"] - 1
                out = block["out_channels"] if last else width
                stride = 2 if last and block["d_reduction"] == "stride" else 1
                modules += [conv(width, out, 3, stride=stride, padding=1)] + self.normalised(out)
            if block["d_reduction"] == "MaxPooling":
                modules.append(Pool(self.dims))
            blocks["conv%d" % i] = nn.Sequential(*modules)
        return nn.Sequential(blocks)

    def decoder(self, encoder, sizes):
        """Undoes the encoder; `sizes` are the input's, without batch and channels."""
        transposed = layers(self.dims)[1]
        before = [sizes]
        for _ in self.described:
            before.append([(size + 1) // 2 for size in before[-1]])
        blocks = OrderedDict()
        for i, block in reversed(list(enumerate(self.described))):
            modules, width = [], self.width_in(block)
            if block["d_reduction"] == "MaxPooling":
                modules.append(Unpool(self.dims, encoder[i][-1]))
            for n in reversed(range(block["n_conv"])):
                last = n == block["n_conv"] - 1
                strided = last and block["d_reduction"] == "stride"
                lacking = [1 - size % 2 for size in before[i]] if strided else 0
                given = block["out_channels"] if last else width
                conv = transposed(given, width, 3, stride=2 if strided else 1, padding=1, output_padding=lacking)
                modules += [conv] + ([] if (i, n) == (0, 0) else self.normalised(width))
            blocks["conv%d" % i] = nn.Sequential(*modules)
        return nn.Sequential(blocks)


def widths(options, sizes):
    """In and out of each fully connected layer, from the sizes of an item."""
    blocks = list(options["convolutions"].values())
    flat = blocks[-1]["out_channels"]
    for size in sizes:
        flat *= -(-size // 2 ** len(blocks))
    count = options["n_fcblocks"]
    ratio = (flat / 2) ** (1 / count)
    outs = [flat / ratio ** (i + 1) for i in range(count)]
    rounded = [flat] + [round(out) for out in outs]
    return list(zip(rounded, rounded[1:]))


class Cnn(nn.Module):
    def __init__(self, options, dims, pairs):
        super().__init__()
        self.features = Blocks(options, dims).encoder()
        self.dropout = nn.Dropout(options.get("dropout", 0.0))
        full = OrderedDict()
        for i, (given, out) in enumerate(pairs):
            last = i == len(pairs) - 1
            full["FC%d" % i] = nn.Sequential(nn.Linear(given, out), *([] if last else [nn.LeakyReLU(SLOPE)]))
        self.classifier = nn.Sequential(full)

    def forward(self, x):
        return self.classifier(self.dropout(torch.flatten(self.features(x), 1)))


class Autoencoder(nn.Module):
    def __init__(self, options, sizes):
        super().__init__()
        blocks = Blocks(options, len(sizes))
        self.encoder = blocks.encoder()
        self.decoder = blocks.decoder(self.encoder, list(sizes))

    def forward(self, x):
        return self.decoder(self.encoder(x))


def build(options, item_shape=None):
    """The network without its weights, for items of this shape (channels first).

    A CNN's shape may be left out where commandline.json has `fc`, as it has but for regions of unequal size.
    """
    if options["network_type"] == "autoencoder":
        if item_shape is None:
            raise ValueError("an autoencoder's layers depend on the size of its items: give item_shape")
        return Autoencoder(options, item_shape[1:])
    if item_shape is not None:
        return Cnn(options, len(item_shape) - 1, widths(options, item_shape[1:]))
    if "fc" not in options:
        raise ValueError("this job's networks have no common width: give item_shape")
    pairs = [(layer["in_features"], layer["out_features"]) for layer in options["fc"].values()]
    return Cnn(options, 2 if options["mode"] == "slice" else 3, pairs)


def load(job, fold=0, selection=None, position=None, item_shape=None):
    """A trained network from a job's folder, ready to predict.

    `selection` is best_balanced_accuracy (best_loss for an autoencoder) unless it is given; `position` says which network
    of a multicnn; `item_shape` is as for `build`.
    """
    with open(os.path.join(job, "commandline.json")) as text:
        options = json.load(text)
    if selection is None:
        selection = "best_loss" if options["network_type"] == "autoencoder" else "best_balanced_accuracy"
    models = os.path.join(job, "fold-%d" % fold, "models", "" if position is None else "cnn-%d" % position)
    state = torch.load(os.path.join(models, selection, "model_best.pth.tar"), map_location="cpu", weights_only=True)
    net = build(options, item_shape)
    net.load_state_dict(state["model"], strict=True)
    return net.eval()
