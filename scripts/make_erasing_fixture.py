#!/usr/bin/env python3
"""Makes tests/fixtures/augment/erasing.json: what torchvision's RandomErasing does with given draws (needs torch and torchvision).

Usage: make_erasing_fixture.py > tests/fixtures/augment/erasing.json
"""

import json
import math
from unittest import mock

import torch
import torchvision
from torchvision.transforms import RandomErasing, functional

SIZES = [(224, 224), (52, 45), (45, 52), (5, 7), (2, 3), (1, 1)]
AREAS = [0.02, 0.0517, 0.1, 0.175, 0.25, 0.33]
LOG_ASPECTS = [math.log(0.3), -0.61, 0.0, 0.433, math.log(3.3)]
ERASED = [([1, 3, 5, 7], (1, 2, 3, 4)), ([3, 5, 7], (0, 3, 4, 2)), ([1, 2, 4, 4], (3, 3, 1, 1)), ([2, 6, 3], (2, 0, 2, 2))]


def sides(height, width, area, log_aspect):
    """Height, width and the numbers of places that one attempt of RandomErasing has with these two draws; none where it fails."""
    draws, places = [], []

    def uniform(tensor, low, high):
        draws.append((float(low), float(high)))
        return tensor.fill_(area if len(draws) % 2 else log_aspect)

    def randint(low, high, size):
        places.append(high - low)
        return torch.zeros(size, dtype=torch.int64)

    image = torch.ones(3, height, width)
    erasing = RandomErasing()
    with mock.patch.object(torch.Tensor, "uniform_", uniform), mock.patch.object(torch, "randint", randint):
        _, _, h, w, _ = erasing.get_params(image, erasing.scale, erasing.ratio, [0.0])
    attempts = len(draws) // 2
    found = {"height": h, "width": w, "places": places} if places else None
    ranges = [list(draws[0]), list(draws[1])]
    return {"image": [height, width], "area": area, "log_aspect": log_aspect, "found": found, "attempts": attempts, "ranges": ranges}


def erased(shape, rectangle):
    """The image 1, 2, 3, ... without that rectangle."""
    image = torch.arange(1.0, 1.0 + math.prod(shape)).reshape(shape)
    output = functional.erase(image, *rectangle, torch.tensor([0.0])[:, None, None])
    return {"shape": shape, "rectangle": list(rectangle), "output": output.flatten().tolist()}


def main():
    made_by = f"scripts/make_erasing_fixture.py with torchvision {torchvision.__version__}, torch {torch.__version__}"
    attempts = [sides(*size, area, aspect) for size in SIZES for area in AREAS for aspect in LOG_ASPECTS]
    lines = [f'{{"made_by": {json.dumps(made_by)}, "probability": {RandomErasing().p}, "attempts": [']
    lines.append(",\n".join(json.dumps(attempt) for attempt in attempts))
    lines.append('], "erased": [')
    lines.append(",\n".join(json.dumps(erased(shape, rectangle)) for shape, rectangle in ERASED))
    lines.append("]}")
    print("\n".join(lines))


main()
