#!/usr/bin/env python3
"""Times PyTorch's own training steps and forward passes of a job's network, as `neurosearch-trainer bench` times the trainer's.

Prints one line of JSON: seconds an item, medians, with the faster of PyTorch's two memory formats for each.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import time

import torch
from torch.nn import functional

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "docs"))
import network

# Steps between two looks at the clock on a GPU, which computes while the next ones are queued.
QUEUED = 10


def timed(arguments, run):
    group = QUEUED if arguments.device == "cuda" else 1
    over = torch.cuda.synchronize if arguments.device == "cuda" else (lambda: None)
    run()
    over()
    seconds = []
    for _ in range(arguments.steps):
        begin = time.perf_counter()
        for _ in range(group):
            run()
        over()
        seconds.append((time.perf_counter() - begin) / group / arguments.batch)
    return statistics.median(seconds)


def measure(arguments, options, channels_last):
    item = [int(size) for size in arguments.item.split("x")]
    torch.manual_seed(1)
    net = network.build(options, item).to(arguments.device)
    batch = torch.rand(arguments.batch, *item, device=arguments.device)
    if channels_last:
        net, batch = (thing.to(memory_format=torch.channels_last_3d) for thing in (net, batch))
    classes = (torch.arange(arguments.batch) % 2).to(arguments.device)
    adam = torch.optim.Adam(net.parameters(), lr=1e-4, weight_decay=1e-4)
    rounded = arguments.precision == "bf16"

    def precision():
        return torch.autocast(arguments.device, torch.bfloat16) if rounded else contextlib.nullcontext()

    def train():
        adam.zero_grad()
        with precision():
            output = net(batch)
        functional.cross_entropy(output.float(), classes, reduction="sum").backward()
        adam.step()

    def evaluate():
        with torch.no_grad(), precision():
            net(batch)

    net.train()
    training = timed(arguments, train)
    net.eval()
    return training, timed(arguments, evaluate)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commandline")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["fp32", "tf32", "bf16"], default="fp32")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--item", required=True, help="channels and sizes, such as 1x169x208x179")
    parser.add_argument("--steps", type=int, default=5)
    arguments = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = arguments.precision == "tf32"
    with open(arguments.commandline) as file:
        options = json.load(file)
    both = [measure(arguments, options, channels_last) for channels_last in (False, True)]
    training, evaluation = (min(figures) for figures in zip(*both))
    print(json.dumps({"training_median": training, "evaluation_median": evaluation}))


if __name__ == "__main__":
    main()
