#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/golden/tokens.tsv: 1,000 odd sequences and their token ids by the reference rules.

An implementation independent of src/tokenizer, written from the published behaviour of BarcodeBERT's
k-mer tokenizer: pad with N, cut into k-mers, and keep the tokens that its attention mask keeps.

    python3 tools/dump_tokens.py tests/golden/tokens.tsv
"""

import itertools
import random
import sys

SEED = 2024
CASES = 1000


def reference_tokens(text, k, offset, max_len):
    """Ids of the tokens with mask 1; stride = k, as everywhere in the paper."""
    sequence = text.upper().replace("-", "").replace("U", "T")
    x = sequence[offset:][:max_len].rstrip("N")
    mask = [1] * (max_len // k)
    mask[len(x) // k :] = [0] * (len(mask) - len(x) // k)
    x += "N" * (max_len - len(x))
    kmers = [x[i : i + k] for i in range(0, max_len - k + 1, k)]
    ids = VOCABULARIES[k]
    return [ids.get(kmer, 1) for kmer, kept in zip(kmers, mask, strict=True) if kept]


def vocabulary(k):
    tokens = ["[MASK]", "[UNK]"] + ["".join(p) for p in itertools.product("ACGT", repeat=k)]
    return {token: number for number, token in enumerate(tokens)}


VOCABULARIES = {k: vocabulary(k) for k in (1, 2, 3, 4, 5, 6, 8)}


def odd_sequence(rng, length):
    """Bases with what people's files hold: gaps, U, lower case, IUPAC codes, runs of N."""
    bases = rng.choices("ACGT", weights=(3, 2, 2, 4), k=length)
    for _ in range(rng.choice((0, 0, 1, 3))):  # ambiguity codes
        if length:
            bases[rng.randrange(length)] = rng.choice("RYSWKMBDHVN")
    if length and rng.random() < 0.2:  # a run of N inside
        begin = rng.randrange(length)
        bases[begin : begin + rng.randint(1, 9)] = "N" * rng.randint(1, 9)
    text = "".join(bases)
    if rng.random() < 0.2:
        text = text + "N" * rng.randint(1, 13)
    if rng.random() < 0.1:
        text = "N" * rng.randint(1, 7) + text
    if rng.random() < 0.15:
        text = text.replace("T", "U")
    if rng.random() < 0.15:
        text = text.lower()
    for _ in range(rng.choice((0, 0, 0, 1, 4))):  # gaps
        place = rng.randint(0, len(text))
        text = text[:place] + "-" * rng.randint(1, 3) + text[place:]
    return text


def cases(rng):
    for number in range(CASES):
        if number % 50 == 0:  # whole barcodes and longer ones
            length, max_len = rng.randint(640, 720), 660
            k = rng.choice((4, 6, 8))
        else:
            length, max_len = rng.randint(1, 90), rng.choice((30, 31, 48, 60, 66, 660))
            k = rng.choice((1, 2, 3, 4, 5, 6, 6, 6, 8))
        yield odd_sequence(rng, length), k, rng.randrange(k), max_len


def main(path):
    rng = random.Random(SEED)
    with open(path, "w", encoding="ascii", newline="\n") as file:
        file.write("sequence\tk\toffset\tmax_bases\tids\n")
        for text, k, offset, max_len in cases(rng):
            ids = reference_tokens(text, k, offset, max_len)
            file.write(f"{text}\t{k}\t{offset}\t{max_len}\t{' '.join(map(str, ids))}\n")


if __name__ == "__main__":
    main(sys.argv[1])
