#!/usr/bin/env python3
"""Makes the small NIfTI files of tests/fixtures/nifti, and what nibabel reads from them (needs nibabel and numpy).

Usage: make_nifti_fixtures.py OUT
"""

import gzip
import json
import pathlib
import sys

import nibabel
import numpy

TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]
SCALINGS = [(None, None), (0.0123, -7.25), (1.0, 3.5), (2.5, 0.0)]


def numbers(kind, shape, rng):
    """Numbers that use the type's range; floats hold NaN, infinity and -0 too."""
    if kind[0] == "f":
        values = rng.normal(0, 1000, shape).astype(kind)
        values.flat[:4] = [numpy.nan, numpy.inf, -0.0, 1e-40]
        return values
    limits = numpy.iinfo(kind)
    return rng.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)


def write(path, values, order, scaling, version):
    """Writes the raw numbers under a header whose slope and intercept are as given, which nibabel's own save would recompute."""
    kind = nibabel.Nifti1Header if version == 1 else nibabel.Nifti2Header
    header = kind(endianness=order)
    header.set_data_dtype(values.dtype.newbyteorder(order))
    header.set_data_shape(values.shape)
    offset = 352 if version == 1 else 544
    header["vox_offset"] = offset
    header["scl_slope"], header["scl_inter"] = [numpy.nan if v is None else v for v in scaling]
    body = header.binaryblock + bytes(4) + values.astype(values.dtype.newbyteorder(order)).tobytes(order="F")
    if path.suffix == ".gz":
        half = len(body) // 2
        # Two members, as `cat a.gz b.gz` makes them.
        body = gzip.compress(body[:half], mtime=0) + gzip.compress(body[half:], mtime=0)
    path.write_bytes(body)


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    rng = numpy.random.default_rng(7)
    expected = {}
    for index, kind in enumerate(TYPES):
        for order in "<>":
            scaling = SCALINGS[(index + (order == ">")) % len(SCALINGS)]
            version = 2 if kind in ("i4", "u8") else 1
            shape = (4, 3, 2, 1) if kind == "i2" else (2, 3, 19) if kind == "f4" else (4, 3, 2)
            name = f"{kind}-{'little' if order == '<' else 'big'}.nii" + (".gz" if index % 2 else "")
            write(out / name, numbers(kind, shape, rng), order, scaling, version)
            with numpy.errstate(over="ignore"):
                read = nibabel.load(out / name).get_fdata().reshape(shape[:3]).astype("<f4")
            read[numpy.isnan(read)] = 0
            expected[name] = {"shape": shape[:3], "bits": read.view("<u4").ravel().tolist()}
    (out / "expected.json").write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in expected.items()) + "\n}\n")


if __name__ == "__main__":
    main()
