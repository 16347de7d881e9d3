#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One configuration of PyTorch, measured in this process: a line of JSON.

    bench/pytorch/measure.py --task train --preset base --variant autocast --batch 32

bench/compare runs it, once per configuration and round; variants.py has the variants. On a GPU ten
steps are timed together, so that PyTorch waits for none but the last. --task gemm: the rate of a
matrix product alone.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import torch

from model import FIRST_KMER, KMERS, PRESETS, TOKENS, Embedder, MaskedAutoencoder, bert, random_batch
from variants import VARIANTS


class MasterAdamW:
    """AdamW on float32 copies of bfloat16 weights."""

    def __init__(self, parameters, **options):
        self.parameters = list(parameters)
        self.masters = [p.detach().float() for p in self.parameters]
        for master in self.masters:
            master.grad = torch.zeros_like(master)
        self.adamw = torch.optim.AdamW(self.masters, **options)

    def step(self):
        torch._foreach_copy_([m.grad for m in self.masters], [p.grad for p in self.parameters])
        self.adamw.step()
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.masters)

    def zero_grad(self):
        for parameter in self.parameters:
            parameter.grad = None


GEMM_SIZE = 8192
STEPS_BETWEEN_WAITS = 10


def training_step(preset, variant, sequences, learning_rate=1e-4, device="cpu"):
    model = MaskedAutoencoder(preset, variant.attention, authors=variant.as_shipped).train().to(device)
    model.decoder.embeddings.word_embeddings.requires_grad_(False)  # is given rows, not ids
    parameters = [p for p in model.parameters() if p.requires_grad]
    options = {"lr": learning_rate, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-5,
               "fused": not variant.as_shipped}
    if variant.weights == "bf16":
        model = model.bfloat16()
    if variant.weights == "bf16" and variant.masters:
        optimizer = MasterAdamW(parameters, **options)
    else:
        optimizer = torch.optim.AdamW(parameters, **options)
    batch = random_batch(sequences, torch.Generator().manual_seed(1)).to(device)

    def forward(batch):
        with torch.autocast(device, torch.bfloat16, enabled=variant.autocast):
            return model(batch)

    if variant.compiled:
        forward = torch.compile(forward, dynamic=False)

    def step():
        optimizer.zero_grad()
        loss = forward(batch)
        loss.backward()
        optimizer.step()
        return loss

    return step


def embedding_step(preset, variant, sequences, device="cpu"):
    model = Embedder(bert(preset.encoder, FIRST_KMER + KMERS, variant.attention, 0.1)).eval().to(device)
    if variant.weights == "bf16":
        model = model.bfloat16()
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(FIRST_KMER, FIRST_KMER + KMERS, (sequences, TOKENS), generator=generator)
    ids = ids.to(device)
    forward = model
    if variant.compiled:
        torch._inductor.config.freezing = device == "cpu"  # oneDNN then packs the weights
        torch._inductor.config.max_autotune = variant.autotuned
        forward = torch.compile(model, dynamic=False)

    def step():
        with torch.no_grad():
            if variant.one_by_one:
                return torch.cat([forward(ids[i : i + 1]) for i in range(len(ids))])
            return forward(ids)

    return step


def median_seconds(step, warm_up, repeats, seconds, device="cpu"):
    together = 1 if device == "cpu" else STEPS_BETWEEN_WAITS

    def wait():
        if device != "cpu":
            torch.cuda.synchronize()

    for _ in range(warm_up):
        step()
    wait()
    times = []
    start = time.perf_counter()
    while len(times) < repeats or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        for _ in range(together):
            step()
        wait()
        times.append((time.perf_counter() - begin) / together)
    return statistics.median(times)


def gemm_gflops(device, size=GEMM_SIZE):
    """Of bfloat16 products of random matrices."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    out = torch.empty_like(a)
    return 2e-9 * size**3 / median_seconds(lambda: torch.mm(a, b, out=out), 3, 10, 1, device)


def peak_megabytes():
    """Of this process so far. (ru_maxrss would remember the process that started this one.)"""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("/proc/self/status has no VmHWM")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=["train", "embed", "gemm"], required=True)
    parser.add_argument("--preset", choices=PRESETS)
    parser.add_argument("--variant")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--gemm-size", type=int, default=GEMM_SIZE)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=3, help="at least")
    parser.add_argument("--seconds", type=float, default=2, help="go on until so much time has passed")
    arguments = parser.parse_args()
    import_mb = peak_megabytes()
    if arguments.task == "gemm":
        print(json.dumps({"gflops": gemm_gflops(arguments.device, arguments.gemm_size),
                          "torch": torch.__version__}))
        return
    variant = VARIANTS[arguments.task][arguments.variant]
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    make = training_step if arguments.task == "train" else embedding_step
    step = make(PRESETS[arguments.preset], variant, arguments.batch, device=arguments.device)
    warm_up = 1 + variant.compiled + 2 * (arguments.device != "cpu")
    seconds = median_seconds(step, warm_up, arguments.repeats, arguments.seconds, arguments.device)
    peak_mb = peak_megabytes()
    if arguments.device != "cpu":  # what the allocator took, without the context
        peak_mb, import_mb = torch.cuda.max_memory_reserved() / 1e6, 0
    json.dump({"samples_per_s": arguments.batch / seconds, "peak_mb": peak_mb,
               "import_mb": import_mb, "torch": torch.__version__}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
