"""A synthetic CAPS that ClinicaDL 1.6.1 prepares and splits, and its twin under the names of ClinicaDL 0.2.2."""

import glob
import os
import re
import shutil
import subprocess

import pandas

DIAGNOSES = ["AD", "CN", "MCI"]
FOLDS = 3
PREPARED = [
    ["image"],
    ["patch", "--patch_size", "21", "--stride_size", "15", "--save_features"],
    ["slice", "--slice_direction", "1", "--discarded_slices", "24", "--slice_mode", "rgb", "--save_features"],
    ["slice", "--slice_direction", "1", "--discarded_slices", "24", "--slice_mode", "single", "--save_features"],
    ["roi", "--roi_list", "right", "--roi_list", "left", "--save_features"],
]
KEYS = ["participant_id", "session_id"]


def run(*command):
    """Ends the whole check with what the program said where it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit("%s ended with %d:\n%s%s" % (" ".join(command), done.returncode, done.stdout, done.stderr))


def make(programs, out):
    """The folder of a CAPS as Clinica names it today, with tensors and label trees by ClinicaDL."""
    run(os.path.join(programs, "neurosearch"), "make-caps", out, "--subjects", "30", "--sessions", "2", "--masks",
        "--diagnoses", ",".join(DIAGNOSES))
    labels = merge(out)
    shutil.rmtree(os.path.join(out, "labels"))
    run("clinicadl", "tsvtools", "get-labels", out, labels, *[part for label in DIAGNOSES for part in ("-d", label)])
    table = os.path.join(labels, "labels.tsv")
    run("clinicadl", "tsvtools", "get-progression", table)
    run("clinicadl", "tsvtools", "split", table, "--n_test", "0.2", "--subset_name", "test")
    held = os.path.join(labels, "split", "train.tsv")
    run("clinicadl", "tsvtools", "kfold", held, "--n_splits", str(FOLDS))
    run("clinicadl", "tsvtools", "split", held, "--n_test", "0.25", "--subset_name", "validation")
    for number, mode in enumerate(PREPARED):
        run("clinicadl", "prepare-data", mode[0], os.path.join(out, "caps"), "t1-linear", *mode[1:],
            "--n_proc", "1", "--extract_json", "extract-%d" % number)
    return out


def merge(out):
    """What `clinica iotools` makes of a BIDS folder: merged.tsv and a table of each session's images."""
    labels = os.path.join(out, "tree")
    os.makedirs(os.path.join(labels, "missing_mods"))
    sides = [(label, path) for label in DIAGNOSES for path in glob.glob(os.path.join(out, "labels", "*", label + ".tsv"))]
    merged = pandas.concat([pandas.read_csv(path, sep="\t").assign(diagnosis=label) for label, path in sides])
    merged = merged.sort_values(KEYS)
    number = merged.participant_id.str[-4:].astype(int)
    merged["age"], merged["sex"] = 60 + number * 7 % 23, ["FM"[n // 3 % 2] for n in number]
    # Two of three with MCI convert, so that both words of its progression are there.
    converts = (merged.diagnosis == "MCI") & (number % 9 != 2) & (merged.session_id != "ses-M000")
    merged.loc[converts, "diagnosis"] = "AD"
    merged.to_csv(os.path.join(labels, "merged.tsv"), sep="\t", index=False)
    for session, rows in merged.groupby("session_id"):
        found = pandas.DataFrame({"participant_id": rows.participant_id, "t1w": 1})
        found.to_csv(os.path.join(labels, "missing_mods", "missing_mods_%s.tsv" % session), sep="\t", index=False)
    return labels


def twin(new, old):
    """The same files, linked under the names of 0.2.2, and the same rows in its tree."""
    for folder, _, names in os.walk(os.path.join(new, "caps")):
        to = os.path.join(old, os.path.relpath(folder, new))
        to = re.sub("masks/(?=tpl-)", "masks/roi_based/", to)
        os.makedirs(to, exist_ok=True)
        for name in names:
            short = re.match(r"(sub-[^_]+_ses-[^_]+)_space-(.*)", name)
            named = "%s_T1w_space-%s" % short.groups() if short else name
            os.link(os.path.join(folder, name), os.path.join(to, named))
    # The tree of 0.2.2 holds one table a diagnosis.
    for i in range(FOLDS):
        rows(os.path.join(kfold(new), "split-%d" % i), old, "_splits-%d/split-%d" % (FOLDS, i))
    rows(single(new), old, "")
    return old


def kfold(root):
    return os.path.join(root, "tree", "split", "%d_fold" % FOLDS)


def single(root):
    return os.path.join(root, "tree", "split", "split")


def rows(source, old, suffix):
    for side, tables in [("train", ["train", "train_baseline"]), ("validation", ["validation_baseline"] * 2)]:
        folder = os.path.join(old, "labels", side + suffix)
        os.makedirs(folder)
        for name, end in zip(tables, ["", "_baseline"]):
            table = pandas.read_csv(os.path.join(source, name + ".tsv"), sep="\t")
            words = table.diagnosis.where(table.diagnosis != "MCI", table.progression.map({"p": "pMCI", "s": "sMCI"}).fillna("MCI"))
            for word in ["AD", "CN", "MCI", "sMCI", "pMCI"]:
                table[words == word].assign(diagnosis=word).to_csv(os.path.join(folder, word + end + ".tsv"), sep="\t", index=False)
