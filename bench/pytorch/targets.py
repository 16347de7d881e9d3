# SPDX-License-Identifier: MIT
"""What we want to reach beside PyTorch, and whether we did."""

from dataclasses import dataclass

RATIO_BATCH = 32
RATE_BATCH = 128


@dataclass
class Target:
    """`beside`: a variant of PyTorch, "best" or the best of a type ("best f32", "best bf16");
    empty: the rate of products alone. `memory`: peaks instead of speeds, and no more instead of no
    less. `absolute`: barcodes/s."""
    task: str
    precision: str
    beside: str
    value: float
    memory: bool = False
    absolute: bool = False
    batch: int = 0  # 0: RATIO_BATCH beside PyTorch, else RATE_BATCH


WITH_AMX = [
    Target("train", "bf16", "best", 2.2),
    Target("train", "bf16", "authors-f32", 5),
    Target("train", "bf16", "", 0.50),
    Target("embed", "bf16", "best", 1.5),
    Target("embed", "bf16", "one-by-one-f32", 7),
    Target("embed", "bf16", "", 0.73),
    Target("embed", "int8", "best bf16", 2.2),
    Target("embed", "int8", "", 0.50),
    Target("train", "bf16", "best", 0.6, memory=True),
    Target("train", "bf16", "authors-f32", 0.5, memory=True),
]
WITHOUT_AMX = [
    Target("train", "bf16", "", 0.80),
    Target("train", "bf16", "best", 1.2),
    Target("embed", "bf16", "", 0.88),
    Target("embed", "bf16", "best", 1.0),
    Target("embed", "int8", "best bf16", 1.5),
    Target("embed", "int8", "", 0.60),
]
WITH_AVX2 = [Target("train", "f32", "best f32", 1.0), Target("embed", "f32", "best f32", 1.0)]
ON_H200 = [
    Target("train", "bf16", "", 0.45, batch=512),
    Target("train", "bf16", "", 8000, absolute=True, batch=512),
    Target("train", "bf16", "best bf16", 1.5, batch=512),
    Target("embed", "bf16", "", 45000, absolute=True, batch=512),
    Target("embed", "bf16", "best bf16", 1.5, batch=512),
]
TARGETS = {"NVIDIA H200": ON_H200, "amx": WITH_AMX, "avx512bf16": WITHOUT_AMX, "avx2": WITH_AVX2}


def find_theirs(rows, beside):
    theirs = [r for r in rows if not r.ours and r.samples_per_s]
    if not beside.startswith("best"):
        return next((r for r in theirs if r.name == f"PyTorch {beside}"), None)
    precision = beside.removeprefix("best").strip()
    return max((r for r in theirs if precision in ("", r.precision)), key=lambda r: r.speed, default=None)


def check(target, preset, rows):
    """None where the run has no numbers for it."""
    batch = target.batch or (RATIO_BATCH if target.beside else RATE_BATCH)
    rows = [r for r in rows if (r.preset, r.task, r.batch) == (preset, target.task, batch)]
    ours = next((r for r in rows if r.ours and r.precision == target.precision), None)
    if ours is None:
        return None
    who = f"{preset} {target.task} {target.precision}, batch {batch}"
    if target.absolute:
        return f"{who}, barcodes/s", ours.speed
    if not target.beside:
        return f"{who}, of the rate of products alone", ours.fraction
    theirs = find_theirs(rows, target.beside)
    if theirs is None:
        return None
    if target.memory:
        return f"{who}, peak memory over {theirs.name}", ours.memory / theirs.memory
    return f"{who}, speed over {theirs.name}", ours.speed / theirs.speed


def check_targets(machine, rows):
    """Of `base`; `small` is to gain as much beside PyTorch. `machine`: a SIMD level, or a GPU."""
    results = []
    for preset in ("base", "small"):
        for target in TARGETS.get(machine, []):
            found = check(target, preset, rows) if preset == "base" or target.beside else None
            if found is None:
                continue
            says, value = found
            met = value <= target.value if target.memory else value >= target.value
            results.append({"says": says, "found": value, "bound": "at most" if target.memory else "at least",
                            "target": target.value, "met": met})
    return results
