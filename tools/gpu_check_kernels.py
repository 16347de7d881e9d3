#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adds up ncu's durations (--metrics gpu__time_duration.sum --csv) by kernel, of the last process.

    tools/gpu_check_kernels.py NCU.csv
"""
import collections
import csv
import re
import sys

MILLISECONDS = {"nsecond": 1e-6, "ns": 1e-6, "usecond": 1e-3, "us": 1e-3, "msecond": 1, "ms": 1, "second": 1e3, "s": 1e3}


def short(name):
    """Without arguments, and of templates of libraries the beginning."""
    name = re.sub(r"\(.*", "", name.replace("(anonymous namespace)::", "").replace("<unnamed>::", ""))
    return re.sub(r"^void ", "", name)[:70]


def main():
    with open(sys.argv[1], encoding="utf-8", errors="replace") as file:
        lines = [line for line in file if line.startswith('"')]
    rows = [row for row in csv.DictReader(lines) if row.get("Metric Name") == "gpu__time_duration.sum"]
    if not rows:
        sys.exit("error: no durations in what ncu wrote")
    last = rows[-1]["Process ID"]
    time, count = collections.Counter(), collections.Counter()
    for row in rows:
        if row["Process ID"] == last:
            name = short(row["Kernel Name"])
            time[name] += float(row["Metric Value"].replace(",", "")) * MILLISECONDS[row["Metric Unit"]]
            count[name] += 1
    total = sum(time.values())
    print(f"{total:.2f} ms in {sum(count.values())} kernels of the first steps, profiled one by one")
    print(f"{'kernel':<72}{'launches':>9}{'ms':>10}{'share':>8}")
    for name, of in time.most_common():
        print(f"{name:<72}{count[name]:>9}{of:>10.3f}{100 * of / total:>6.1f} %")


if __name__ == "__main__":
    main()
