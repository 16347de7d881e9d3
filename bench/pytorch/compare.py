#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training and embedding beside the same in PyTorch, in turn on this machine.

Needs Python alone; what it runs needs the environment that bench/compare makes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from targets import check_targets
from variants import VARIANTS

FOLDER = Path(__file__).resolve().parent
BUILD = FOLDER.parent.parent / "build"
GPU_BATCH = 512
TASKS = {"train": "training", "embed": "embedding"}
OURS = "barcodemae "

# What keeps each library within an instruction set: oneDNN (ours and PyTorch's), PyTorch's own
# kernels, and MKL, which has PyTorch's float32 products.
ISAS = {
    "best": {},
    "avx512_bf16": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16", "ATEN_CPU_CAPABILITY": "avx512",
                    "MKL_ENABLE_INSTRUCTIONS": "AVX512_E3"},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2",
             "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
}
# A C library that keeps freed memory, in huge pages: PyTorch asks for every activation anew.
TUNED_MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(64 << 30),
                "MALLOC_TOP_PAD_": str(256 << 20), "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


class UserError(Exception):
    """What the user can mend."""


@dataclass
class Row:
    """One configuration of one side. Lists: a number per round."""
    preset: str
    task: str
    batch: int
    name: str
    precision: str
    says: str
    samples_per_s: list = field(default_factory=list)
    peak_mb: list = field(default_factory=list)
    import_mb: float = 0  # of peak_mb: what importing the libraries took
    error: str = ""
    gflops: float = 0  # by the FLOPs that the model needs, the same for both sides
    fraction: float = 0  # of the rate of products alone in this precision

    @property
    def ours(self):
        return self.name.startswith(OURS)

    @property
    def speed(self):
        return statistics.median(self.samples_per_s) if self.samples_per_s else 0.0

    @property
    def memory(self):
        """The least of the rounds: the first may have compiled."""
        return min(self.peak_mb) if self.peak_mb else 0.0

    def summary(self):
        return {**asdict(self), "median_samples_per_s": self.speed, "least_peak_mb": self.memory}


def say(text):
    print(text, file=sys.stderr, flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="bench/compare", description=__doc__.splitlines()[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""Each measurement is a process of its own; a round runs all of them in turn. Use an idle machine.
The first run makes a Python environment in build/compare-venv from bench/pytorch/requirements.txt.

Examples:
  bench/compare --quick
  bench/compare --preset base --task train --batch 32 --rounds 5 --json compare.json
  bench/compare --isa avx512_bf16          # as on a machine without AMX
  bench/compare --venv ~/torch --binary build/dev/barcodemae
  bench/compare --device cuda              # preset base, batch 512, bf16; on a GPU""")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="default: cpu")
    parser.add_argument("--preset", nargs="+", choices=["tiny", "small", "base"],
                        help="models (default: small base; on a GPU base)")
    parser.add_argument("--task", nargs="+", choices=list(TASKS), default=list(TASKS),
                        help="what is measured (default: train embed)")
    parser.add_argument("--batch", nargs="+", type=positive, metavar="N",
                        help="barcodes in a step (default: 32 128; on a GPU 512)")
    parser.add_argument("--variant", nargs="+", choices=sorted({n for v in VARIANTS.values() for n in v}),
                        metavar="NAME", help="PyTorch's variants (default: all of docs/performance.md)")
    parser.add_argument("--precision", nargs="+", choices=["f32", "bf16", "int8"], metavar="P",
                        help="ours: f32, bf16, int8 (default: all, on a GPU bf16; int8 only embeds)")
    parser.add_argument("--rounds", type=positive, metavar="N", help="default: 3")
    parser.add_argument("--minutes", type=float, metavar="X",
                        help="begin no measurement after so many minutes; rounds then come first")
    parser.add_argument("--quick", action="store_true",
                        help="the first batch size, one round of one repeat: does it run?")
    parser.add_argument("--isa", choices=list(ISAS), default="best",
                        help="keep both sides within an instruction set (default: best)")
    parser.add_argument("--venv", metavar="DIR", help="use this Python environment as it is")
    parser.add_argument("--binary", type=Path, default=BUILD / "release" / "barcodemae", metavar="FILE",
                        help="default: build/release/barcodemae")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file too")
    parser.add_argument("--check", action="store_true",
                        help="measure nothing; is it the same model on both sides?")
    parser.add_argument("--python", default=sys.executable, help=argparse.SUPPRESS)  # bench/compare's
    arguments = parser.parse_args()
    on_gpu = arguments.device != "cpu"
    arguments.preset = arguments.preset or (["base"] if on_gpu else ["small", "base"])
    arguments.batch = arguments.batch or ([GPU_BATCH] if on_gpu else [32, 128])
    arguments.precision = arguments.precision or (["bf16"] if on_gpu else None)
    return arguments


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: a whole number from 1")
    return number


class Comparison:
    def __init__(self, arguments):
        self.arguments = arguments
        self.environment = {**os.environ, **ISAS[arguments.isa]}
        self.environment["TORCHINDUCTOR_CACHE_DIR"] = str(BUILD / "compare-cache" / arguments.isa)
        self.precisions = self.our_precisions()
        self.machine = {}
        self.torch = ""
        self.rates = {}  # by precision: products alone, a number per process of ours
        self.torch_rate = 0.0  # the same in bfloat16 by torch.mm, on a GPU
        self.own_rate = 0.0
        self.began = time.monotonic()
        self.flops = {}  # by preset and task: per barcode, in 10^9
        self.rows = []

    def run(self, command, environment=None):
        return subprocess.run([str(word) for word in command], env=environment or self.environment,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)

    def our_precisions(self):
        binary = self.arguments.binary
        if not os.access(binary, os.X_OK):
            raise UserError(f"{binary} is not there. Build it (scripts/setup) or name another with --binary.")
        text = self.run([binary, "bench", "--help"]).stdout
        wanted = self.arguments.precision or ("f32", "bf16", "int8")
        return [name for name in ("f32", "bf16", "int8") if name in text and name in wanted]

    def row(self, preset, task, batch, name, precision, says):
        for row in self.rows:
            if (row.preset, row.task, row.batch, row.name) == (preset, task, batch, name):
                return row
        self.rows.append(Row(preset, task, batch, name, precision, says))
        return self.rows[-1]

    def measure_ours(self, preset, task, batch):
        precisions = [p for p in self.precisions if p != "int8" or task == "embed"]
        if not precisions:
            raise UserError("--precision int8: only embeds; add another, or --task embed")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bench.json"
            done = self.run([self.arguments.binary, "bench", "--preset", preset, "--task", task, "--batch",
                             batch, "--precision", *precisions, "--device", self.arguments.device,
                             "--json", path]
                            + ["--quick"] * self.arguments.quick)
            if done.returncode != 0:
                raise UserError(f"barcodemae bench failed:\n{done.stderr.strip()}")
            result = json.loads(path.read_text(encoding="utf-8"))
        self.machine = result["machine"]
        for precision, rate in result["gemm"].items():
            self.rates.setdefault(precision, []).append(rate["gflops"])
        for of in result["results"]:
            row = self.row(preset, task, batch, OURS + of["precision"], of["precision"], "")
            row.samples_per_s.append(of["samples_per_s"])
            row.peak_mb.append(of["peak_mb" if self.arguments.device == "cpu" else "device_mb"])
            self.flops[preset, task] = of["gflops"] / of["samples_per_s"]
            say(f"  {row.name:<32}{row.samples_per_s[-1]:>10.1f} barcodes/s")

    def measure_theirs(self, preset, task, batch, name, variant):
        row = self.row(preset, task, batch, f"PyTorch {name}", variant.precision, variant.says)
        command = [self.arguments.python, FOLDER / "measure.py", "--preset", preset, "--task", task,
                   "--batch", batch, "--variant", name, "--threads", self.machine["threads"],
                   "--device", self.arguments.device]
        if self.arguments.quick:
            command += ["--repeats", 1, "--seconds", 0]
        tuned = {} if variant.as_shipped or self.arguments.device != "cpu" else TUNED_MALLOC
        done = self.run(command, {**self.environment, **tuned})
        lines = done.stdout.splitlines()
        if done.returncode != 0 or not lines:
            reason = done.stderr.strip().splitlines()
            row.error = reason[-1] if reason else f"ended with {done.returncode}"
            say(f"  {row.name:<32}failed: {row.error}")
            return
        result = json.loads(lines[-1])
        row.samples_per_s.append(result["samples_per_s"])
        row.peak_mb.append(result["peak_mb"])
        row.import_mb = result["import_mb"]
        self.torch = result["torch"]
        say(f"  {row.name:<32}{row.samples_per_s[-1]:>10.1f} barcodes/s")

    def variants(self, task, batch):
        for name, variant in VARIANTS[task].items():
            if self.arguments.device not in variant.devices:
                continue
            if self.arguments.variant:
                if name not in self.arguments.variant:
                    continue
            elif batch > variant.largest_batch or not variant.runs_on(
                    self.arguments.device, self.machine["simd"], self.arguments.isa):
                continue
            yield name, variant

    def measure(self):
        arguments = self.arguments
        rounds = arguments.rounds or (1 if arguments.quick else 3)
        groups = [(preset, task, batch) for preset in arguments.preset for task in arguments.task
                  for batch in (arguments.batch[:1] if arguments.quick else arguments.batch)]
        numbers = range(1, rounds + 1)
        order = ([(number, *group) for number in numbers for group in groups] if arguments.minutes
                 else [(number, *group) for group in groups for number in numbers])
        if arguments.device != "cpu":
            self.measure_torch_rate()
        for number, preset, task, batch in order:
            if self.out_of_time():
                say(f"--minutes {arguments.minutes:g}: {preset}, {TASKS[task]}, round {number} is left out")
                continue
            say(f"{preset}, {TASKS[task]}, batch {batch}, round {number} of {rounds}")
            self.measure_ours(preset, task, batch)
            for name, variant in self.variants(task, batch):
                if self.out_of_time():
                    say(f"  PyTorch {name:<20}left out: --minutes {arguments.minutes:g}")
                    continue
                self.measure_theirs(preset, task, batch, name, variant)
        self.rates = {precision: statistics.median(rates) for precision, rates in self.rates.items()}
        self.own_rate = self.rates.get("bf16", 0.0)
        if self.torch_rate:  # the harder yardstick
            self.rates["bf16"] = max(self.own_rate, self.torch_rate)
        for row in self.rows:
            row.gflops = row.speed * self.flops[row.preset, row.task]
            row.fraction = row.gflops / (
                self.rates.get(row.precision) or self.rates.get("f32") or max(self.rates.values()))

    def out_of_time(self):
        """Never before the first measurement of ours, which says what the machine is."""
        minutes = self.arguments.minutes
        return bool(minutes and self.machine and time.monotonic() - self.began > 60 * minutes)

    def measure_torch_rate(self):
        command = [self.arguments.python, FOLDER / "measure.py", "--task", "gemm", "--device", "cuda"]
        done = self.run(command)
        if done.returncode != 0:
            say(f"  torch.mm failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
            return
        result = json.loads(done.stdout.splitlines()[-1])
        self.torch_rate, self.torch = result["gflops"], result["torch"]
        say(f"torch.mm, 8192 cubed, bfloat16: {self.torch_rate:,.0f} GFLOP/s")

    def group(self, preset, task, batch):
        return [r for r in self.rows if (r.preset, r.task, r.batch) == (preset, task, batch)]

    def groups(self):
        return dict.fromkeys((r.preset, r.task, r.batch) for r in self.rows)

    def print_tables(self):
        rates = ", ".join(f"{rate:,.0f} in {name}" for name, rate in self.rates.items())
        machine = self.machine
        on_gpu = self.arguments.device != "cpu"
        print(f"{machine['cpu']}, {machine['threads']} threads, SIMD {machine['simd']}; "
              f"PyTorch {self.torch or 'not run'}")
        if on_gpu:
            print(f"{machine['device_name']}; products alone, bf16, GFLOP/s: ours {self.own_rate:,.0f}, "
                  f"torch.mm {self.torch_rate:,.0f}; fractions are of the larger")
        else:
            print(f"oneDNN alone, GFLOP/s: {rates}")
        for preset, task, batch in self.groups():
            rows = self.group(preset, task, batch)
            yardstick = max((r for r in rows if r.ours), key=lambda r: r.speed)
            print(f"\n{preset}, {TASKS[task]}, batch {batch}: {self.flops[preset, task]:.3g} GFLOP a barcode")
            print(f"{'':<32}{'barcodes/s':>12}{'spread':>9}{'GFLOP/s':>10}"
                  f"{'of products' if on_gpu else 'of oneDNN':>13}{'memory':>11}"
                  f"{yardstick.name.removeprefix(OURS) + ' is':>10}")
            for row in rows:
                if not row.samples_per_s:
                    print(f"{row.name:<32}failed: {row.error}")
                    continue
                spread = (max(row.samples_per_s) - min(row.samples_per_s)) / row.speed
                print(f"{row.name:<32}{row.speed:>12.1f}{100 * spread:>7.0f} %{row.gflops:>10.0f}"
                      f"{100 * row.fraction:>11.0f} %{row.memory:>8.0f} MB{yardstick.speed / row.speed:>9.2f}x")
        print("\nMedians of the rounds; spread: largest less smallest. FLOPs: weight products that the "
              "batch's tokens\nneed, the same for both sides; rates of each row's own type. Memory: "
              + ("taken of the GPU's, without\nthe context. PyTorch waits after ten steps, ours after each"
                 if on_gpu else "the process's peak" + self.import_note()) + ".\n")

    def import_note(self):
        imports = max((row.import_mb for row in self.rows), default=0)
        return f";\n{imports:.0f} MB of PyTorch's are there once it is imported" if imports else ""

    def report(self):
        self.print_tables()
        gpu = self.machine["device_name"].split(",")[0]
        targets = check_targets(gpu or self.machine["simd"], self.rows)
        for target in targets:
            print(f"{'met   ' if target['met'] else 'MISSED'}  {target['says']}: {target['found']:.2f}, "
                  f"target {target['bound']} {target['target']:.2f}")
        if self.arguments.json:
            write_json(self.arguments.json, {
                "machine": self.machine, "isa": self.arguments.isa, "torch": self.torch,
                "torch_gemm_gflops": self.torch_rate,
                "gemm_gflops": self.rates,
                "gflop_per_barcode": {f"{p} {t}": value for (p, t), value in self.flops.items()},
                "results": [row.summary() for row in self.rows], "targets": targets})


def write_json(path, value):
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def main():
    arguments = parse_arguments()
    if arguments.json and not arguments.json.absolute().parent.is_dir():
        raise UserError(f"--json {arguments.json}: there is no folder {arguments.json.absolute().parent}.")
    comparison = Comparison(arguments)
    if arguments.check:
        command = [arguments.python, FOLDER / "check.py", "--binary", arguments.binary]
        return subprocess.run([str(word) for word in command], check=False).returncode
    if os.getloadavg()[0] > 0.5:
        say(f"warning: about {os.getloadavg()[0]:.1f} other programs are running: ratios will be off")
    comparison.measure()
    comparison.report()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        say(f"error: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
