#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/golden/linear_probe.safetensors: a small classification problem and what others make of it.

    tools/dump_linear_probe.py [--out tests/golden]

Overlapping Gaussian classes of unequal size on features of very unequal scale. Beside the data:
* `reference_weights` [classes, features + 1] (bias last): PyTorch after REFERENCE_EPOCHS epochs of
  BarcodeBERT's linear probe (global standardisation; SGD, learning rate 1, momentum 0.95, weight
  decay 1e-9) begun at zero. A batch holds all rows, so that their order does not matter.
* `sklearn_accuracy`: of scikit-learn's LogisticRegression on standardised features, on the test rows.
Needs torch, scikit-learn and safetensors; any recent versions do.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

CLASSES, FEATURES = 7, 12
REFERENCE_EPOCHS = 12
COUNTS = {"train": 900, "val": 400, "test": 900}


def problem():
    random = np.random.default_rng(5)
    centres = random.normal(size=(CLASSES, FEATURES)) * 0.9
    scale = np.exp(random.normal(size=FEATURES))
    shares = np.arange(1, CLASSES + 1) / sum(range(1, CLASSES + 1))
    arrays = {}
    for split, count in COUNTS.items():
        labels = random.choice(CLASSES, size=count, p=shares)
        noise = random.normal(size=(count, FEATURES))
        arrays[f"{split}_x"] = ((centres[labels] + noise) * scale + 3).astype(np.float32)
        arrays[f"{split}_y"] = labels.astype(np.int32)
    return arrays


def reference_weights(x, y):
    x = torch.tensor(x, dtype=torch.float64)
    x = (x - x.mean()) / x.std(unbiased=False)
    y = torch.tensor(y, dtype=torch.int64)
    classifier = torch.nn.Linear(FEATURES, CLASSES, dtype=torch.float64)
    torch.nn.init.zeros_(classifier.weight)
    torch.nn.init.zeros_(classifier.bias)
    optimiser = torch.optim.SGD(classifier.parameters(), lr=1, momentum=0.95, weight_decay=1e-9)
    for _ in range(REFERENCE_EPOCHS):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(classifier(x), y).backward()
        optimiser.step()
    weights = torch.cat([classifier.weight, classifier.bias[:, None]], dim=1)
    return weights.detach().numpy().astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("tests/golden"))
    folder = parser.parse_args().out
    arrays = problem()
    arrays["reference_weights"] = reference_weights(arrays["train_x"], arrays["train_y"])
    scaler = StandardScaler().fit(arrays["train_x"])
    oracle = LogisticRegression(C=1.0, max_iter=1000)
    oracle.fit(scaler.transform(arrays["train_x"]), arrays["train_y"])
    accuracy = oracle.score(scaler.transform(arrays["test_x"]), arrays["test_y"])
    arrays["sklearn_accuracy"] = np.array([[accuracy]], dtype=np.float32)
    save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()},
              folder / "linear_probe.safetensors")
    print(f"scikit-learn: {100 * accuracy:.2f} %")


if __name__ == "__main__":
    main()
