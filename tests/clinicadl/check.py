"""Trains every mode from what ClinicaDL 1.6.1 wrote, and again from its twin under the names of 0.2.2: the results must be the same bytes.

Usage: check.py BIN OUT. BIN holds the built programs; OUT is made anew.
"""

import filecmp
import json
import os
import shutil
import subprocess
import sys

import dataset
import pandas

ROOT = {
    "preprocessing": "t1-linear", "network_type": "cnn", "epochs": 2, "batch_size": 4, "use_cpu": True, "nproc": 0,
    "learning_rate": 1e-3, "weight_decay": 1e-4, "dropout": 0.1, "seed": 5, "n_fcblocks": 1, "network_normalization": "BatchNorm",
    "convolutions": {
        "conv0": {"in_channels": None, "out_channels": 4, "n_conv": 1, "d_reduction": "MaxPooling"},
        "conv1": {"in_channels": 4, "out_channels": 8, "n_conv": 1, "d_reduction": "MaxPooling"},
    },
}
MODES = {
    "image": {},
    "patch": {"patch_size": 21, "stride_size": 15, "selection_threshold": 0.5},
    "slice": {"slice_direction": 1, "discarded_slices": 24},
    "roi": {"roi_list": ["right", "left"]},
}
TWO, MORE = ["AD", "CN"], ["AD", "sMCI", "pMCI", "CN"]
# These say where and when a job ran, which differs.
OWN = {"environment.txt", "commandline.json", ".neurosearch"}


def jobs():
    """Name and options of each job, paths aside."""
    for mode, options in MODES.items():
        yield mode, {**ROOT, **options, "mode": mode, "diagnoses": TWO, "n_splits": dataset.FOLDS}
        if mode != "image":
            extracted = {"use_extracted_%s" % {"patch": "patches", "slice": "slices", "roi": "roi"}[mode]: True}
            yield mode + "-extracted", {**ROOT, **options, **extracted, "mode": mode, "diagnoses": TWO, "n_splits": dataset.FOLDS}
    yield "patch-multicnn", {**ROOT, **MODES["patch"], "mode": "patch", "network_type": "multicnn", "diagnoses": TWO,
                             "n_splits": dataset.FOLDS, "split": [0], "epochs": 1}
    yield "image-baseline", {**ROOT, "mode": "image", "diagnoses": TWO, "n_splits": dataset.FOLDS, "baseline": True}
    yield "image-progression", {**ROOT, "mode": "image", "diagnoses": MORE, "n_splits": dataset.FOLDS}
    yield "image-single", {**ROOT, "mode": "image", "diagnoses": TWO}


def train(programs, out, name, options):
    """The job's folder, trained by the command line."""
    source, folder = os.path.join(out, name + ".json"), os.path.join(out, name)
    os.makedirs(out, exist_ok=True)
    with open(source, "w") as text:
        json.dump(options, text)
    dataset.run(os.path.join(programs, "neurosearch"), "retrain", source, folder, "--no-cache")
    return folder


def files(folder):
    """Paths below a job's folder of everything that it computed."""
    found = set()
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in OWN]
        named = [name for name in names if name not in OWN and not name.startswith("events.out.tfevents")]
        found |= {os.path.relpath(os.path.join(base, name), folder) for name in named}
    return found


def same(one, other):
    """Whether two files have the same bytes, apart from the times in the table of a training."""
    if os.path.basename(one) != "training.tsv":
        return filecmp.cmp(one, other, shallow=False)
    tables = [pandas.read_csv(path, sep="\t", dtype=str).drop(columns="time") for path in (one, other)]
    return tables[0].equals(tables[1])


def differences(one, other):
    """What differs between two folders of the same job, and how many files were held against each other."""
    found = files(one)
    if found != files(other):
        return ["only in one: %s" % sorted(found ^ files(other))], 0
    unlike = [name for name in sorted(found) if not same(os.path.join(one, name), os.path.join(other, name))]
    return ["differs: " + name for name in unlike], len(found)


def main():
    programs, out = (os.path.abspath(path) for path in sys.argv[1:3])
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    new = dataset.make(programs, os.path.join(out, "new"))
    old = dataset.twin(new, os.path.join(out, "old"))
    faults = 0
    for name, options in jobs():
        tree = dataset.kfold(new) if options.get("n_splits") else dataset.single(new)
        today = train(programs, os.path.join(out, "today"), name, {**options, "caps_dir": os.path.join(new, "caps"), "tsv_path": tree})
        then = {"caps_dir": os.path.join(old, "caps"), "tsv_path": os.path.join(old, "labels")}
        unlike, count = differences(today, train(programs, os.path.join(out, "then"), name, {**options, **then}))
        for sentence in unlike:
            print("%s: %s" % (name, sentence))
        print("%-20s %3d files, %d differ" % (name, count, len(unlike)))
        faults += bool(unlike) or not count
    print("ClinicaDL 1.6.1: %d jobs, %d faults" % (len(list(jobs())), faults))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
