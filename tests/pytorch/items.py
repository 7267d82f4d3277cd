"""Cuts a participant's volume into a job's items with nibabel, NumPy and Pillow, as the network was shown them."""

import os

import nibabel
import numpy
from PIL import Image

SPACE = "space-MNI152NLin2009cSym"
SLICE_SIZE = (224, 224)


def volume(caps, participant, session):
    """The whole image in float32, X x Y x Z."""
    name = "%s_%s_T1w_%s_desc-Crop_res-1x1x1_T1w.nii.gz" % (participant, session, SPACE)
    image = nibabel.load(os.path.join(caps, "subjects", participant, session, "t1_linear", name))
    voxels = image.get_fdata().astype(numpy.float32)
    voxels[numpy.isnan(voxels)] = 0
    return voxels


def mask(caps, roi):
    template = "tpl-MNI152NLin2009cSym"
    name = "%s_desc-Crop_res-1x1x1_roi-%s_mask.nii.gz" % (template, roi)
    voxels = nibabel.load(os.path.join(caps, "masks", "roi_based", template, name)).get_fdata()
    return voxels.reshape(voxels.shape[-3:])


def normalised(item):
    low, high = item.min(), item.max()
    return numpy.zeros_like(item) if low == high else (item - low) / (high - low)


def patches(voxels, size, stride):
    starts = [range(0, length - size + 1, stride) for length in voxels.shape]
    return [voxels[x:x + size, y:y + size, z:z + size] for x in starts[0] for y in starts[1] for z in starts[2]]


def regions(voxels, caps, options):
    for roi in options["roi_list"]:
        inside = mask(caps, roi)
        kept = voxels * inside.astype(numpy.float32)
        if not options.get("uncropped_roi", False):
            box = [(axis.min(), axis.max() + 1) for axis in numpy.nonzero(inside)]
            kept = kept[tuple(slice(*bounds) for bounds in box)]
        yield kept


def slices(voxels, options):
    discarded = options["discarded_slices"]
    ends = discarded if isinstance(discarded, list) else [discarded]
    direction = options["slice_direction"]
    for index in range(ends[0], voxels.shape[direction] - ends[-1]):
        flat = (normalised(numpy.take(voxels, index, axis=direction)) * 255).astype(numpy.uint8)
        resized = numpy.asarray(Image.fromarray(flat).resize(SLICE_SIZE, Image.Resampling.BILINEAR))
        yield numpy.repeat(resized[None].astype(numpy.float32) / 255, 3, axis=0)


def items(options, participant, session):
    """The items of an image in order, each channels first, in float32."""
    caps = options["caps_dir"]
    voxels = volume(caps, participant, session)
    if options["mode"] == "slice":
        return list(slices(voxels, options))
    if options["mode"] == "patch":
        cut = patches(voxels, options["patch_size"], options["stride_size"])
    elif options["mode"] == "roi":
        cut = list(regions(voxels, caps, options))
    else:
        cut = [voxels]
    return [normalised(item)[None] for item in cut]
