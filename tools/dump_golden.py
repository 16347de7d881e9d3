#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/golden/*.safetensors: tiny models of each objective by PyTorch + transformers.

    tools/dump_golden.py [--out tests/golden] [--only classifier]

triplet.safetensors is the batch-hard triplet loss of a few vectors with its gradient and choices.
Each file holds inputs, a masking plan, weights under barcodemae's names, hidden states, losses,
every parameter's gradient, and the weights after three steps of AdamW under OneCycle. The encoder
and the decoder are transformers' BertModel (a causal one with is_decoder); the wiring between them
is BarcodeMAE's (see docs/objectives.md). Sequences are run one at a time, so that no padding is involved, and in
float64, so that what is stored is exact to float32. Dropout is 0. Needs torch, transformers and
safetensors; any recent versions do.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import BertConfig, BertModel

MASK = 0
UNKNOWN = 1
FIRST_KMER = 2
MAX_POSITIONS = 16


@dataclass
class Case:
    name: str
    seed: int
    k: int
    encoder: tuple  # width, layers, heads, feed-forward width
    decoder: tuple
    masked_weight: float
    weight_decay: float
    base_head: bool = False
    objective: str = "mae"
    frozen_mask_row: bool = False
    classes: int = 0  # > 0: fine-tuning, a linear layer on the mean over a sequence's tokens


CASES = [
    Case("kmer_head", 1, 2, (32, 2, 2, 64), (32, 1, 4, 64), 1.0, 1e-5),
    Case("wider_decoder", 2, 3, (16, 1, 2, 32), (24, 1, 3, 48), 0.7, 0.1),
    Case("base_head", 3, 3, (16, 1, 1, 32), (16, 1, 2, 32), 0.9, 1e-5, base_head=True),
    Case("mae_masked", 4, 2, (16, 1, 2, 32), (24, 1, 3, 48), 0.7, 1e-5, objective="mae-masked"),
    Case("mlm", 5, 2, (16, 2, 2, 32), None, 0.8, 1e-5, objective="mlm"),
    Case("mlm_frozen_mask_row", 8, 2, (16, 1, 2, 32), None, 1.0, 1e-5, objective="mlm",
         frozen_mask_row=True),
    Case("causal", 6, 2, (16, 2, 2, 32), None, 1.0, 1e-5, objective="causal"),
    Case("causal_base_head", 7, 3, (16, 1, 1, 32), None, 1.0, 1e-5, base_head=True,
         objective="causal"),
    Case("classifier", 9, 2, (16, 2, 2, 32), None, 1.0, 0.01, objective="mlm", classes=5),
]


def bert(shape, vocabulary, causal=False):
    width, layers, heads, feed_forward = shape
    config = BertConfig(
        vocab_size=vocabulary, hidden_size=width, num_hidden_layers=layers,
        num_attention_heads=heads, intermediate_size=feed_forward, hidden_act="gelu",
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        max_position_embeddings=MAX_POSITIONS, type_vocab_size=2, layer_norm_eps=1e-12,
        attn_implementation="eager", is_decoder=causal, use_cache=False)
    return BertModel(config, add_pooling_layer=False)


class Model(nn.Module):
    def __init__(self, case):
        super().__init__()
        self.case = case
        width_in = case.encoder[0]
        width = case.decoder[0] if case.decoder else width_in
        self.encoder = bert(case.encoder, FIRST_KMER + 4**case.k, case.objective == "causal")
        if not case.frozen_mask_row:  # else row 0, [MASK], is BertModel's padding row: no gradient
            self.encoder.embeddings.word_embeddings.padding_idx = None
        if case.decoder:
            self.projection = nn.Linear(width_in, width)
            if case.objective == "mae":
                self.mask_vector = nn.Parameter(torch.zeros(width))
            self.decoder = bert(case.decoder, 1)  # is given rows: its word table is not used
        self.head = nn.Linear(width, case.classes or (4 * case.k if case.base_head else 4**case.k))
        if case.base_head:
            self.site_bias = nn.Parameter(torch.zeros(MAX_POSITIONS, 4 * case.k))

    def named(self):
        """barcodemae's name of every parameter."""
        for name, parameter in self.named_parameters():
            if name.startswith("decoder.embeddings.word_embeddings"):
                continue
            if name.startswith("encoder."):
                name = name[len("encoder."):]
            name = {"mask_vector": "decoder.mask_vector", "site_bias": "head.site_bias"}.get(name, name)
            if self.case.classes:
                name = name.replace("head.", "auxiliary.0.")
            yield name, parameter

    def encode(self, sequence):
        """Only the visible tokens, with the positions they have in the whole sequence; but for the
        masked autoencoder, all tokens, [MASK] in place of the masked ones."""
        if self.case.objective != "mae":
            ids = sequence.ids if self.case.objective == "causal" else sequence.ids.masked_fill(
                sequence.masked, MASK)
            return self.encoder(input_ids=ids[None],
                                position_ids=sequence.positions[None]).last_hidden_state[0]
        seen = ~sequence.masked
        return self.encoder(input_ids=sequence.ids[seen][None],
                            position_ids=sequence.positions[seen][None]).last_hidden_state[0]

    def encode_full(self, sequence):
        """All tokens, masked ones excluded from attention: the rows of the visible ones."""
        seen = ~sequence.masked
        hidden = self.encoder(input_ids=sequence.ids[None], position_ids=sequence.positions[None],
                              attention_mask=seen[None].long()).last_hidden_state[0]
        return hidden[seen]

    def decode(self, sequence, encoded):
        if self.case.objective == "mae-masked":
            return self.decoder(inputs_embeds=self.projection(encoded)[None],
                                position_ids=sequence.positions[None]).last_hidden_state[0]
        if self.case.objective != "mae":
            return encoded
        rows = self.mask_vector.expand(len(sequence.ids), -1).clone()
        if encoded is not None:
            rows[~sequence.masked] = self.projection(encoded)
        return self.decoder(inputs_embeds=rows[None],
                            position_ids=sequence.positions[None]).last_hidden_state[0]

    def losses_and_hits(self, decoded, kmers, positions):
        """Per token: cross entropy, and whether the k-mer would be reconstructed."""
        logits = self.head(decoded)
        if not self.case.base_head:
            return nn.functional.cross_entropy(logits, kmers, reduction="none"), logits.argmax(-1) == kmers
        k = self.case.k
        logits = (logits + self.site_bias[positions]).view(-1, k, 4)
        bases = torch.stack([kmers >> 2 * (k - 1 - place) & 3 for place in range(k)], dim=1)
        losses = nn.functional.cross_entropy(logits.reshape(-1, 4), bases.reshape(-1), reduction="none")
        return losses.view(-1, k).sum(1), (logits.argmax(-1) == bases).all(1)


@dataclass
class Sequence:
    ids: torch.Tensor
    positions: torch.Tensor
    masked: torch.Tensor
    label: int = -1


def make_sequences(case, generator):
    """Ragged; one empty, one all masked, one all visible, one all [UNK], one with gaps."""
    sequences = []
    for length, share in [(7, 0.5), (1, 0.0), (0, 0.5), (12, 0.5), (5, 1.0), (4, 0.0), (2, 0.5), (9, 0.5)]:
        ids = torch.randint(FIRST_KMER, FIRST_KMER + 4**case.k, (length,), generator=generator)
        ids[torch.rand(length, generator=generator) < (1.0 if length == 2 else 0.15)] = UNKNOWN
        if share == 1.0:
            ids = ids.clamp(min=FIRST_KMER)
        masked = (torch.rand(length, generator=generator) < share) & (ids >= FIRST_KMER)
        positions = torch.arange(length)
        if length == 9:
            positions = torch.randperm(MAX_POSITIONS, generator=generator)[:length].sort().values
        sequences.append(Sequence(ids, positions, masked))
        if case.classes:  # nothing is masked; two sequences have no label
            sequences[-1].masked = torch.zeros_like(masked)
            if length not in (0, 5):
                sequences[-1].label = int(torch.randint(case.classes, (1,), generator=generator))
    return sequences


def forward(model, sequences):
    out = {}
    mae = model.case.objective == "mae"

    def is_seen(s):
        return (~s.masked).any() if mae else len(s.ids) > 0

    encoded = [model.encode(s) if is_seen(s) else None for s in sequences]
    decoded = [model.decode(s, e) for s, e in zip(sequences, encoded) if len(s.ids) > 0]
    width = model.case.encoder[0]
    out["encoder_hidden"] = torch.cat([e for e in encoded if e is not None])
    out["encoder_hidden_full"] = torch.cat(
        [model.encode_full(s) for s in sequences if is_seen(s)]) if mae else out["encoder_hidden"]
    out["decoder_hidden"] = torch.cat(decoded)
    out["pooled"] = torch.stack([
        model.encoder(input_ids=s.ids[None], position_ids=s.positions[None]).last_hidden_state[0].mean(0)
        if len(s.ids) > 0 else torch.zeros(width, dtype=torch.float64) for s in sequences])
    if model.case.classes:
        labels = torch.tensor([s.label for s in sequences])
        logits = model.head(out["pooled"][labels >= 0])
        loss = nn.functional.cross_entropy(logits, labels[labels >= 0])
        out["class_loss"] = torch.stack([loss, (logits.argmax(-1) == labels[labels >= 0]).sum().double()])
        return out, loss
    ids = torch.cat([s.ids for s in sequences])
    positions = torch.cat([s.positions for s in sequences])
    if model.case.objective == "causal":
        # Each k-mer with a token before it, from that token's hidden state.
        followed = torch.cat([torch.arange(len(s.ids)) > 0 for s in sequences])
        rows = (followed & (ids >= FIRST_KMER)).nonzero()[:, 0]
        losses, hits = model.losses_and_hits(out["decoder_hidden"][rows - 1],
                                             ids[rows] - FIRST_KMER, positions[rows])
        out["masked_loss"] = torch.stack([losses.mean(), hits.sum().double()])
        return out, losses.mean()
    masked = torch.cat([s.masked for s in sequences])
    for name, rows in [("masked", masked), ("visible", ~masked & (ids >= FIRST_KMER))]:
        losses, hits = model.losses_and_hits(out["decoder_hidden"][rows], ids[rows] - FIRST_KMER,
                                             positions[rows])
        out[f"{name}_loss"] = torch.stack([losses.mean(), hits.sum().double()])
    w = model.case.masked_weight
    loss = w * out["masked_loss"][0] + (1 - w) * out["visible_loss"][0]
    return out, loss


def dump(case, folder):
    torch.manual_seed(case.seed)
    generator = torch.Generator().manual_seed(case.seed)
    model = Model(case).eval().double()
    with torch.no_grad():  # far from the initialisation, where most things would be nearly 0 or 1
        for name, parameter in model.named():
            deviation = 0.2 if parameter.dim() == 2 else 0.1
            noise = deviation * torch.randn(parameter.shape, generator=generator)
            mean = 1.0 if "LayerNorm.weight" in name else 0.0
            parameter.copy_((mean + noise).float())
        if case.frozen_mask_row:
            model.encoder.embeddings.word_embeddings.weight[MASK] = 0
    sequences = make_sequences(case, generator)

    tensors = {}
    begins, encoder_begins = [0], [0]
    for s in sequences:
        begins.append(begins[-1] + len(s.ids))
        encoder_begins.append(
            encoder_begins[-1] + (int((~s.masked).sum()) if case.objective == "mae" else len(s.ids)))
    ids = torch.cat([s.ids for s in sequences])
    masked = torch.cat([s.masked for s in sequences])
    seen = ~masked if case.objective == "mae" else torch.ones_like(masked)
    followed = torch.cat([torch.arange(len(s.ids)) > 0 for s in sequences]) & (ids >= FIRST_KMER)
    rows = torch.arange(len(ids))
    inputs = {
        "ids": ids, "positions": torch.cat([s.positions for s in sequences]),
        "begins": torch.tensor(begins), "records": torch.arange(len(sequences)) * 3 + 5,
        "encoder_begins": torch.tensor(encoder_begins), "encoder_rows": rows[seen],
        "masked_rows": rows[masked], "visible_rows": rows[~masked & (ids >= FIRST_KMER)],
    }
    if case.objective in ("mae-masked", "mlm"):
        inputs["seen_ids"] = ids.masked_fill(masked, MASK)
    if case.objective == "causal":
        inputs["masked_rows"], inputs["visible_rows"] = rows[followed], rows[:0]
    if case.classes:
        inputs["labels"] = torch.tensor([s.label for s in sequences])
    tensors.update({name: value.int() for name, value in inputs.items()})
    tensors.update({f"weights/{n}": p.detach().float().clone() for n, p in model.named()})

    parameters = [p for _, p in model.named()]
    peak, steps = 1e-3, 10
    optimizer = torch.optim.AdamW(parameters, lr=peak, betas=(0.9, 0.999), eps=1e-8,
                                  weight_decay=case.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=peak, total_steps=steps)
    rates = []
    for step in range(3):
        optimizer.zero_grad()
        out, loss = forward(model, sequences)
        loss.backward()
        if step == 0:
            tensors.update({n: t.detach().float() for n, t in out.items()})
            tensors.update({f"gradients/{n}": p.grad.float().clone() for n, p in model.named()})
        group = optimizer.param_groups[0]
        rates.append([group["lr"], group["betas"][0]])
        optimizer.step()
        schedule.step()
    tensors["schedule"] = torch.tensor(rates, dtype=torch.float32)
    tensors.update({f"stepped/{n}": p.detach().float().clone() for n, p in model.named()})

    metadata = {"k": case.k, "max_positions": MAX_POSITIONS, "masked_weight": case.masked_weight,
                "base_head": int(case.base_head), "peak_learning_rate": peak, "steps": steps,
                "weight_decay": case.weight_decay}
    if case.objective != "mae":
        metadata["objective"] = case.objective
        metadata["frozen_mask_row"] = int(case.frozen_mask_row)
    if case.classes:
        metadata["classes"] = case.classes
    for part in ("encoder", "decoder"):
        shape = getattr(case, part) or (0, 0, 0, 0)  # no decoder
        for key, value in zip(("width", "layers", "heads", "feed_forward"), shape):
            metadata[f"{part}_{key}"] = value
    save_file({n: t.contiguous() for n, t in tensors.items()}, folder / f"{case.name}.safetensors",
              {key: str(value) for key, value in metadata.items()})


TRIPLET_MARGIN = 0.3
TRIPLET_LABELS = [0, 0, 0, 1, 1, 1, 2, 2, -1, 3]  # one without a label, one without its like


def triplet(x, labels, first):
    """Batch-hard triplets (Hermans et al., 2017) of cosines, soft margin: mean loss, how often the
    nearest has the anchor's label, and each anchor's hardest pair (-1: it has none). Of equally
    hard ones the first, or the last."""
    unit = nn.functional.normalize(x, dim=1)
    cosines = unit @ unit.T
    labelled = labels >= 0
    others = labelled[None, :] & ~torch.eye(len(x), dtype=torch.bool)
    alike = labels[None, :] == labels[:, None]

    def hardest(values):
        ties = torch.nonzero(values == values.max())[:, 0]
        return int(ties[0 if first else -1])

    losses, hits, pairs = [], 0, []
    for i in range(len(x)):
        positives, negatives = others[i] & alike[i], others[i] & ~alike[i]
        if not (labelled[i] and positives.any() and negatives.any()):
            pairs.append((-1, -1))
            continue
        shown = cosines[i].detach()
        p = hardest(torch.where(positives, -shown, -torch.inf))
        n = hardest(torch.where(negatives, shown, -torch.inf))
        hits += int(labels[hardest(torch.where(others[i], shown, -torch.inf))] == labels[i])
        losses.append(nn.functional.softplus(cosines[i, n] - cosines[i, p] + TRIPLET_MARGIN))
        pairs.append((p, n))
    return torch.stack(losses).mean(), hits, pairs


def dump_triplet(folder):
    generator = torch.Generator().manual_seed(11)
    x = torch.randn(len(TRIPLET_LABELS), 6, generator=generator).float()
    x[2] = x[1]  # two positives, equally far from row 0; row 1's farthest is row 0
    x[7] = x[5]  # two of other labels, equally near to whom both are nearest
    labels = torch.tensor(TRIPLET_LABELS)
    tensors = {"x": x, "labels": labels.int()}
    for first in (True, False):
        leaf = x.double().requires_grad_()
        loss, hits, pairs = triplet(leaf, labels, first)
        loss.backward()
        name = "first" if first else "last"
        tensors |= {f"{name}/loss": torch.tensor([loss.item(), hits]).float(), f"{name}/gradient": leaf.grad.float(),
                    f"{name}/pairs": torch.tensor(pairs).int()}
    assert (tensors["first/pairs"] != tensors["last/pairs"]).any(dim=0).all(), "ties of both kinds"
    save_file({n: t.contiguous() for n, t in tensors.items()}, folder / "triplet.safetensors",
              {"margin": str(TRIPLET_MARGIN)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "tests" / "golden")
    parser.add_argument("--only", help="one case by its name")
    arguments = parser.parse_args()
    folder = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        if arguments.only not in (None, case.name):
            continue
        dump(case, folder)
        print(folder / f"{case.name}.safetensors")
    if arguments.only in (None, "triplet"):
        dump_triplet(folder)


if __name__ == "__main__":
    main()
