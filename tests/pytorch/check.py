"""Trains small jobs with the real programs and holds every file they leave against PyTorch's and the field's own readers.

Usage: check.py BIN FIXTURES OUT. BIN holds the built programs, FIXTURES is tests/fixtures, OUT is made anew.
"""

import glob
import json
import os
import shutil
import subprocess
import sys

import nibabel
import numpy
import pandas
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs"))

import items
import network
from jobs import jobs

# REFERENCE: |a - b| <= 1e-4 x max(1, |b|) for outputs, losses and probabilities.
TOLERANCE = 1e-4

# What the Python in docs/guide.md names, and what stands for it here.
DOCUMENTED = {
    "/usr/share/doc/neurosearch": "{checkout}/docs",
    "searches/first/jobs.tsv": "{launch}/jobs.tsv",
    "searches/first/job-3": "{launch}/image-cnn-batch",
    "image.nii.gz": "{image}",
}


class Report:
    """Counts what was compared and keeps the largest deviation of each kind."""

    def __init__(self):
        self.faults = []

    def start(self, name):
        self.name, self.worst, self.counts = name, 0.0, {}

    def count(self, what, number=1):
        self.counts[what] = self.counts.get(what, 0) + number

    def hold(self, condition, sentence):
        if not condition:
            self.faults.append("%s: %s" % (self.name, sentence))

    def close(self, found, expected, what):
        found, expected = numpy.asarray(found, numpy.float64), numpy.asarray(expected, numpy.float64)
        if found.shape != expected.shape:
            self.faults.append("%s: %s: shape %s, %s expected" % (self.name, what, found.shape, expected.shape))
            return
        deviation = numpy.abs(found - expected) / numpy.maximum(1, numpy.abs(expected))
        worst = float(deviation.max()) if deviation.size else 0.0
        self.worst = max(self.worst, worst)
        self.hold(worst <= TOLERANCE, "%s: deviates by %.2g" % (what, worst))

    def line(self):
        counted = ", ".join("%d %s" % (number, what) for what, number in self.counts.items())
        print("%-26s largest deviation %.1e  %s" % (self.name, self.worst, counted), flush=True)


def table(path):
    return pandas.read_csv(path, sep="\t")


def golden(fixtures, report):
    """What the checks stand on, held against the reference first: the network builder, and the cutting of slices."""
    for folder in sorted(glob.glob(os.path.join(fixtures, "golden", "networks", "*"))):
        report.start(os.path.basename(folder))
        with open(os.path.join(folder, "commandline.json")) as text:
            options = json.load(text)
        with open(os.path.join(folder, "expected.json")) as text:
            expected = json.load(text)
        batch = torch.load(os.path.join(folder, "input.pt"), weights_only=True)
        net = network.build(options, batch.shape[1:])
        # The reference's own files hold NumPy scalars, which weights_only refuses.
        state = torch.load(os.path.join(folder, "model_best.pth.tar"), weights_only=False)
        net.load_state_dict(state["model"], strict=True)
        with torch.no_grad():
            report.close(net.eval()(batch).numpy(), expected["eval_output"], "output")
        report.count("outputs", batch.shape[0])
        report.line()
    report.start("slices")
    voxels = items.volume(os.path.join(fixtures, "mni-quarter", "caps"), "sub-MNI0000", "ses-M00")
    for path in sorted(glob.glob(os.path.join(fixtures, "golden", "slices", "*.pt"))):
        direction, index = (int(part.split("-")[1]) for part in os.path.basename(path)[: -len(".pt")].split("_"))
        cut = list(items.slices(voxels, {"slice_direction": direction, "discarded_slices": 0}))[index]
        report.close(cut[0], torch.load(path, weights_only=True).reshape(cut[0].shape), os.path.basename(path))
        report.count("slices")
    report.line()


def train(programs, fixtures, out, name, options):
    """The job's folder, with its fold trained by the command line."""
    caps = os.path.join(fixtures, "mni-quarter", "caps")
    labels = os.path.join(fixtures, "mni-quarter", "labels")
    source, folder = os.path.join(out, name + ".json"), os.path.join(out, "launch", name)
    with open(source, "w") as text:
        json.dump({**options, "caps_dir": caps, "tsv_path": labels}, text)
    done = subprocess.run([os.path.join(programs, "neurosearch"), "retrain", source, folder], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("retrain %s ended with %d:\n%s%s" % (name, done.returncode, done.stdout, done.stderr))
    return folder


def model(path, options, shape, report):
    """The network with the weights of a file that is opened as PyTorch opens what it does not trust."""
    state = torch.load(path, weights_only=True)
    wanted = {"model", "epoch", "valid_loss"} | (set() if options["network_type"] == "autoencoder" else {"valid_acc"})
    report.hold(set(state) == wanted, "%s holds %s" % (path, sorted(state)))
    net = network.build(options, shape)
    net.load_state_dict(state["model"], strict=True)
    report.hold(same(net, path, options, shape), "docs/network.py loads another network from %s" % path)
    report.count("models")
    return net.eval(), state


def same(net, path, options, shape):
    """Whether docs/network.py loads the same network by the job's folder alone."""
    job, rest = path.split(os.sep + "fold-0" + os.sep)
    parts = rest.split(os.sep)
    position = int(parts[1][len("cnn-"):]) if parts[1].startswith("cnn-") else None
    item_shape = shape if options["network_type"] == "autoencoder" else None
    found = network.load(job, selection=parts[-2], position=position, item_shape=item_shape).state_dict()
    wanted = net.state_dict()
    return found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


def documented(checkout, fixtures, launch, report):
    """The Python of docs/guide.md, run as it stands there on this search."""
    report.start("docs/guide.md")
    places = {"checkout": checkout, "launch": launch}
    places["image"] = sorted(glob.glob(os.path.join(fixtures, "mni-quarter", "caps", "subjects", "*", "*", "t1_linear", "*.nii.gz")))[0]
    with open(os.path.join(checkout, "docs", "guide.md")) as text:
        blocks = [block.split("```")[0] for block in text.read().split("```python\n")[1:]]
    for shown in DOCUMENTED:
        report.hold(any(shown in block for block in blocks), "it no longer says %s" % shown)
    for code in blocks:
        for shown, real in DOCUMENTED.items():
            code = code.replace(shown, real.format(**places))
        exec(compile(code, "docs/guide.md", "exec"), {"__name__": "guide"})
        report.count("blocks of Python")
    report.line()


def predict(net, batch, layout=torch.contiguous_format):
    with torch.no_grad():
        return net.to(memory_format=layout)(torch.from_numpy(numpy.stack(batch)).to(memory_format=layout))


def images(options, rows):
    """The items of each image of a table of rows, in order of first appearance."""
    pairs = dict.fromkeys(zip(rows["participant_id"], rows["session_id"]))
    return {pair: items.items(options, *pair) for pair in pairs}


def classified(fold, options, report):
    """Every prediction of every selection and set, made again with PyTorch."""
    level = options["mode"]
    for selection in ("best_loss", "best_balanced_accuracy"):
        for subset in ("train", "validation"):
            folder = os.path.join(fold, "cnn_classification", selection)
            rows = table(os.path.join(folder, "%s_%s_level_prediction.tsv" % (subset, level)))
            if level == "image":
                # An image's own file has neither an index nor probabilities.
                rows["image_id"] = 0
            cut = images(options, rows)
            begin = options["discarded_slices"][0] if level == "slice" else 0
            rows["item"] = rows[level + "_id"] - begin
            count = len(next(iter(cut.values())))
            report.hold(len(rows) == len(cut) * count, "%d rows for %d images of %d items" % (len(rows), len(cut), count))
            metrics = table(os.path.join(folder, "%s_%s_level_metrics.tsv" % (subset, level)))
            for position in range(count) if options["network_type"] == "multicnn" else [None]:
                chosen = rows if position is None else rows[rows["item"] == position]
                models = os.path.join(fold, "models", "" if position is None else "cnn-%d" % position)
                logs = fold if position is None else os.path.join(fold, "tensorboard_logs", "cnn-%d" % position)
                loss = predicted(chosen, cut, os.path.join(models, selection), logs, subset, options, report)
                report.close(metrics["total_loss"][position or 0], loss * len(chosen), "total loss of %s" % subset)


def predicted(rows, cut, models, logs, subset, options, report):
    """One network's rows of one set: probabilities, labels, and the loss that was reported for its epoch."""
    shape = next(iter(cut.values()))[0].shape
    net, state = model(os.path.join(models, "model_best.pth.tar"), options, shape, report)
    logits = predict(net, [cut[p, s][i] for p, s, i in zip(rows["participant_id"], rows["session_id"], rows["item"])])
    proba = torch.softmax(logits, 1).numpy()
    if "proba0" in rows:
        report.close(rows[["proba0", "proba1"]], proba, "probabilities of %s in %s" % (subset, models))
    # Where both classes are equal but for rounding, either label is right.
    clear = numpy.abs(proba[:, 1] - proba[:, 0]) > TOLERANCE
    report.hold((rows["predicted_label"][clear] == (proba[:, 1] > proba[:, 0])[clear]).all(), "labels of %s in %s" % (subset, models))
    report.count("predictions", len(rows))
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(rows["true_label"].to_numpy())).item()
    training = table(os.path.join(logs, "training.tsv"))
    epoch = training[training["epoch"] == state["epoch"]].iloc[-1]
    report.close(epoch["loss_train" if subset == "train" else "loss_valid"], loss, "loss of %s in %s" % (subset, models))
    if subset == "validation":
        report.close(state["valid_loss"], loss, "loss in the file of %s" % models)
        report.close(state["valid_acc"], epoch["balanced_accuracy_valid"], "accuracy in the file of %s" % models)
    return loss


def reconstructed(fold, options, report):
    """Every reconstruction, made again from its input with PyTorch, in the memory format that the trainer uses.

    Where two neighbours in a flat background are equal but for rounding, the pool may find its maximum at either, and
    undoing it shifts that one value: PyTorch in its other format, or in 64 bits, differs from itself by up to 0.01 there.
    """
    for subset in ("train", "validation"):
        folder = os.path.join(fold, "autoencoder_reconstruction", subset)
        inputs = sorted(glob.glob(os.path.join(folder, "input-*.nii.gz")))
        report.hold(bool(inputs), "no reconstruction in %s" % folder)
        for path in inputs:
            given, output = nibabel.load(path), nibabel.load(path.replace("input-", "output-"))
            for image in (given, output):
                report.hold(image.get_data_dtype() == numpy.float32, "%s is no float32" % path)
                report.hold((image.affine == numpy.eye(4)).all(), "%s has another affine" % path)
            voxels = numpy.asarray(given.dataobj, numpy.float32)
            item = voxels if options["mode"] == "slice" else voxels[None]
            net, _ = model(os.path.join(fold, "models", "best_loss", "model_best.pth.tar"), options, item.shape, report)
            layout = torch.channels_last if options["mode"] == "slice" else torch.channels_last_3d
            wanted = predict(net, [item], layout)[0].numpy().reshape(voxels.shape)
            report.close(output.get_fdata(), wanted, os.path.basename(path))
            report.count("reconstructions")


def curves(logs, training, report):
    """TensorBoard's scalars against training.tsv, step by step."""
    rows = table(training)
    batches = rows.groupby("epoch")["iteration"].transform("max") + 1
    last = rows.groupby("epoch").cumcount(ascending=False) == 0
    steps = numpy.where(last, (rows["epoch"] + 1) * batches, rows["iteration"] + rows["epoch"] * batches)
    for subset, ending in (("train", "train"), ("validation", "valid")):
        events = EventAccumulator(os.path.join(logs, subset), size_guidance={"scalars": 0}).Reload()
        columns = [name for name in ("balanced_accuracy", "loss") if "%s_%s" % (name, ending) in rows]
        report.hold(sorted(events.Tags()["scalars"]) == columns, "%s has scalars %s" % (subset, events.Tags()["scalars"]))
        for name in columns:
            scalars = events.Scalars(name)
            report.hold([s.step for s in scalars] == list(steps), "%s steps %s" % (name, [s.step for s in scalars]))
            # The format holds 32 bits.
            expected = rows["%s_%s" % (name, ending)].to_numpy(numpy.float32)
            report.hold((numpy.array([s.value for s in scalars], numpy.float32) == expected).all(), "%s differs" % name)
            report.count("scalars", len(scalars))


def tables(folder, report):
    for path in glob.glob(os.path.join(folder, "**", "*.tsv"), recursive=True):
        read = table(path)
        unnamed = [column for column in read.columns if column.startswith("Unnamed")]
        report.hold(len(read) > 0 and not unnamed, "%s: %d rows, columns %s" % (path, len(read), list(read.columns)))
        report.count("tables")


def analysed(programs, launch, names, report):
    report.start("analysis")
    subprocess.run([os.path.join(programs, "neurosearch"), "analysis", launch], check=True, stdout=subprocess.DEVNULL)
    for name in ("analysis_balanced_accuracy.tsv", "analysis_loss.tsv"):
        read = pandas.read_csv(os.path.join(launch, name), sep="\t", index_col=0)
        report.hold(list(read.index) == sorted(names) + ["total"], "%s has rows %s" % (name, list(read.index)))
        report.hold((read.loc[names, "run"] == 1).all(), "%s says that a job has not run" % name)
        report.hold((read.loc[names].sum() == read.loc["total"]).all(), "%s does not add up" % name)
        report.count("tables")
    read = table(os.path.join(launch, "jobs.tsv"))
    report.hold(sorted(read["job"]) == sorted(names), "jobs.tsv has jobs %s" % list(read["job"]))
    report.count("tables")
    report.line()


def main():
    programs, fixtures, out = (os.path.abspath(path) for path in sys.argv[1:4])
    torch.set_num_threads(os.cpu_count())
    report = Report()
    print("PyTorch %s, pandas %s, nibabel %s, NumPy %s" % (torch.__version__, pandas.__version__, nibabel.__version__, numpy.__version__))
    golden(fixtures, report)
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(os.path.join(out, "launch"))
    names = []
    for name, options in jobs():
        names.append(name)
        report.start(name)
        folder = train(programs, fixtures, out, name, options)
        with open(os.path.join(folder, "commandline.json")) as text:
            written = json.load(text)
        fold = os.path.join(folder, "fold-0")
        (reconstructed if written["network_type"] == "autoencoder" else classified)(fold, written, report)
        for logs in glob.glob(os.path.join(fold, "tensorboard_logs", "cnn-*")) or [os.path.join(fold, "tensorboard_logs")]:
            own = os.path.join(logs, "training.tsv")
            curves(logs, own if os.path.exists(own) else os.path.join(fold, "training.tsv"), report)
        tables(folder, report)
        report.line()
    analysed(programs, os.path.join(out, "launch"), names, report)
    documented(os.path.dirname(os.path.dirname(fixtures)), fixtures, os.path.join(out, "launch"), report)
    for fault in report.faults:
        print("FAULT " + fault)
    print("%d jobs, %d faults" % (len(names), len(report.faults)))
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
