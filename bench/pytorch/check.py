#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does bench/compare measure the same model on both sides? Ends with 1 if not.

    bench/pytorch/check.py --binary build/release/barcodemae

The loss and gradients of the dense batches measured equal those of tools/dump_golden.py, against
which the engine itself is tested; every variant lowers its loss; and a model of the engine embeds
the same in its own hands and in transformers'.
"""

import argparse
import copy
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import torch
from transformers import BertModel

from measure import training_step
from model import FIRST_KMER, K, PRESETS, Embedder, MaskedAutoencoder, random_batch
from variants import VARIANTS

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tools"))
import dump_golden  # noqa: E402

TOKENS = dump_golden.MAX_POSITIONS
failures = 0


def expect(what, found, at_most):
    global failures
    good = found <= at_most
    failures += not good
    print(f"{'ok    ' if good else 'FAILED'}  {what}: {found:.2g}, at most {at_most:.2g}")


def shape(of):
    return of.width, of.layers, of.heads, of.feed_forward


def check_wiring(head):
    preset = copy.deepcopy(PRESETS["tiny"])
    preset.base_head = head == "base"
    case = dump_golden.Case("check", 1, K, shape(preset.encoder), shape(preset.decoder), 1.0, 0.0,
                            base_head=preset.base_head)
    golden = dump_golden.MaskedAutoencoder(case).double()
    ours = MaskedAutoencoder(preset, "eager", dropout=0).double()
    weights = dict(ours.named_parameters())
    with torch.no_grad():
        for name, parameter in golden.named_parameters():
            parameter.normal_(0, 0.2)
            weights[name][: len(parameter)] = parameter  # fewer positions there
    batch = random_batch(4, torch.Generator().manual_seed(1), tokens=TOKENS)
    masked = torch.zeros_like(batch.ids, dtype=torch.bool).scatter(1, batch.masked, True)
    sequences = [dump_golden.Sequence(ids, torch.arange(TOKENS), hidden)
                 for ids, hidden in zip(batch.ids, masked)]
    _, expected = dump_golden.forward(golden, sequences)
    expected.backward()
    for ours.authors in (False, True):
        ours.zero_grad()
        loss = ours(batch)
        loss.backward()
        way = "all logits" if ours.authors else "masked logits"
        expect(f"loss with a head per {head}, {way}", abs((loss - expected) / expected).item(), 1e-5)
        gradient = golden.encoder.embeddings.position_embeddings.weight.grad
        found = ours.encoder.embeddings.position_embeddings.weight.grad[: len(gradient)]
        expect(f"its gradient, {way}", ((found - gradient).norm() / gradient.norm()).item(), 1e-4)


def check_learning():
    for name, variant in VARIANTS["train"].items():
        if variant.compiled:
            continue  # minutes of compilation
        torch.manual_seed(1)
        step = training_step(PRESETS["tiny"], variant, 32, learning_rate=1e-3)
        first = step().item()
        for _ in range(40):
            last = step().item()
        expect(f"loss of {name} after 40 steps, over the first", last / first, 0.99)


def check_embedding(binary):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, model, vectors = folder / "data.csv", folder / "model", folder / "vectors.npy"
        for command in (["simulate", "--records", "400", "--seed", "1", "--out", data],
                        ["pretrain", data, "--out", model, "--preset", "tiny", "--steps", "4",
                         "--anchor", "none"],
                        ["embed", model, data, "--out", vectors, "--precision", "f32"]):
            subprocess.run([binary, *command, "--quiet"], check=True, stdout=subprocess.DEVNULL)
        ours = numpy.load(vectors)
        with data.open(encoding="utf-8") as file:
            barcodes = [row[sequence_column(row)] for row in csv.DictReader(file)]
        embedder = Embedder(BertModel.from_pretrained(model, add_pooling_layer=False)).eval()
        worst = 0.0
        for vector, barcode in zip(ours, barcodes, strict=True):
            with torch.no_grad():
                theirs = embedder(torch.tensor([tokens(barcode)]))[0].numpy()
            worst = max(worst, float(numpy.abs(vector - theirs).max() / numpy.abs(theirs).max()))
        expect("embeddings of a model of the engine", worst, 1e-4)


def sequence_column(row):
    return next(name for name in ("dna_barcode", "nucleotides", "nuc") if name in row)


def tokens(barcode):
    """k-mers as numbers in base 4; 1 with anything but ACGT."""
    barcode = barcode.upper().replace("-", "").replace("U", "T")[:660].rstrip("N")
    kmers = [barcode[i : i + K] for i in range(0, len(barcode) - K + 1, K)]
    return [FIRST_KMER + sum("ACGT".index(base) * 4 ** (K - 1 - place) for place, base in enumerate(kmer))
            if set(kmer) <= set("ACGT") else dump_golden.UNKNOWN for kmer in kmers]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, required=True)
    binary = parser.parse_args().binary
    torch.manual_seed(1)
    for head in ("k-mer", "base"):
        check_wiring(head)
    check_learning()
    check_embedding(binary)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
