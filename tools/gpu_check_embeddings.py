#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Are two .npy files of float32 vectors the same but for rounding? Needs Python alone.

    tools/gpu_check_embeddings.py A.npy B.npy BOUND

Ends with 1 when a row of B is farther from A's than BOUND of its length.
"""
import ast
import math
import struct
import sys
from array import array


def read(path):
    with open(path, "rb") as file:
        start = file.read(10)
        if start[:6] != b"\x93NUMPY" or start[6] != 1:
            sys.exit(f"error: {path} is no .npy file of version 1")
        header = ast.literal_eval(file.read(struct.unpack("<H", start[8:])[0]).decode())
        if header["descr"] != "<f4" or header["fortran_order"]:
            sys.exit(f"error: {path} has {header['descr']}, not float32 rows")
        values = array("f")
        values.frombytes(file.read())
    rows, width = header["shape"]
    return [values[row * width:(row + 1) * width] for row in range(rows)]


def main():
    first, second, bound = read(sys.argv[1]), read(sys.argv[2]), float(sys.argv[3])
    if [len(row) for row in first] != [len(row) for row in second] or not first:
        sys.exit("the files have different shapes, or no rows")
    worst = 0.0
    for a, b in zip(first, second):
        distance = math.dist(a, b) / max(math.hypot(*a), 1e-30)
        worst = max(worst, distance if math.isfinite(distance) else math.inf)
    print(f"{sys.argv[2]}: {len(first)} rows, farthest by {worst:.2g} of its length, at most {bound:.2g}")
    return 0 if worst <= bound else 1


if __name__ == "__main__":
    sys.exit(main())
