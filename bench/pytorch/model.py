# SPDX-License-Identifier: MIT
"""BarcodeMAE out of transformers' BertModel, for batches of sequences of one length.

Every sequence has the same number of masked tokens, so that the visible ones are a dense batch: no
padding, which is the best case for PyTorch. tools/dump_golden.py has the same wiring one sequence
at a time; check.py holds the two together.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from transformers import BertConfig, BertModel

K = 6
KMERS = 4**K
FIRST_KMER = 2
TOKENS = 110


@dataclass
class Shape:
    width: int
    layers: int
    heads: int
    feed_forward: int


@dataclass
class Preset:
    """As in src/nn/presets.cc."""
    encoder: Shape
    decoder: Shape
    base_head: bool


PRESETS = {
    "tiny": Preset(Shape(64, 2, 4, 256), Shape(64, 1, 4, 256), True),
    "small": Preset(Shape(256, 6, 4, 1024), Shape(256, 2, 4, 1024), True),
    "base": Preset(Shape(768, 6, 6, 3072), Shape(768, 6, 6, 3072), False),
}


def bert(shape, vocabulary, attention, dropout):
    config = BertConfig(
        vocab_size=vocabulary, hidden_size=shape.width, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, intermediate_size=shape.feed_forward, hidden_act="gelu",
        hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
        max_position_embeddings=512, type_vocab_size=2, layer_norm_eps=1e-12,
        attn_implementation=attention)
    return BertModel(config, add_pooling_layer=False)


@dataclass
class Batch:
    ids: torch.Tensor  # [sequences, tokens]
    visible: torch.Tensor  # [sequences, visible tokens], positions in ascending order
    masked: torch.Tensor  # [sequences, masked tokens], likewise

    def to(self, device):
        return Batch(self.ids.to(device), self.visible.to(device), self.masked.to(device))


def random_batch(sequences, generator, tokens=TOKENS):
    """Random k-mers, exactly half of each sequence masked, as `barcodemae bench` has them."""
    ids = torch.randint(FIRST_KMER, FIRST_KMER + KMERS, (sequences, tokens), generator=generator)
    order = torch.rand(sequences, tokens, generator=generator).argsort(1)
    visible, masked = order[:, : tokens // 2], order[:, tokens // 2 :]
    return Batch(ids, visible.sort(1).values, masked.sort(1).values)


class MaskedAutoencoder(nn.Module):
    """`authors`: as the paper's code computes it: attention masks, boolean indices, logits of every
    token. Otherwise only what the loss needs."""

    def __init__(self, preset, attention="sdpa", dropout=0.1, authors=False):
        super().__init__()
        self.authors = authors
        self.base_head = preset.base_head
        width = preset.decoder.width
        self.encoder = bert(preset.encoder, FIRST_KMER + KMERS, attention, dropout)
        self.projection = nn.Linear(preset.encoder.width, width)
        self.mask_vector = nn.Parameter(torch.zeros(width))
        self.decoder = bert(preset.decoder, 1, attention, dropout)  # is given rows, not ids
        self.head = nn.Linear(width, 4 * K if self.base_head else KMERS)
        if self.base_head:
            self.site_bias = nn.Parameter(torch.zeros(512, 4 * K))

    def forward(self, batch):
        """The mean cross entropy of the masked tokens."""
        return self.forward_as_authors(batch) if self.authors else self.forward_dense(batch)

    def forward_dense(self, batch):
        encoded = self.encoder(input_ids=batch.ids.gather(1, batch.visible),
                               position_ids=batch.visible).last_hidden_state
        projected = self.projection(encoded)
        sequences, tokens = batch.ids.shape
        width = projected.shape[2]
        rows = self.mask_vector.to(projected.dtype).expand(sequences, tokens, width)
        rows = rows.scatter(1, batch.visible[..., None].expand(-1, -1, width), projected)
        decoded = self.decoder(inputs_embeds=rows, position_ids=positions(batch)).last_hidden_state
        wanted = decoded.gather(1, batch.masked[..., None].expand(-1, -1, width))
        return self.loss(self.head(wanted).flatten(0, 1), batch)

    def forward_as_authors(self, batch):
        masked = torch.zeros_like(batch.ids, dtype=torch.bool).scatter(1, batch.masked, True)
        encoded = self.encoder(
            input_ids=batch.ids.gather(1, batch.visible), position_ids=batch.visible,
            attention_mask=torch.ones_like(batch.visible)).last_hidden_state
        projected = self.projection(encoded)
        rows = projected.new_zeros(*batch.ids.shape, projected.shape[2])
        rows[~masked] = projected.flatten(0, 1)
        rows[masked] = self.mask_vector
        decoded = self.decoder(inputs_embeds=rows, position_ids=positions(batch),
                               attention_mask=torch.ones_like(batch.ids)).last_hidden_state
        return self.loss(self.head(decoded)[masked], batch)

    def loss(self, logits, batch):
        kmers = batch.ids.gather(1, batch.masked).flatten() - FIRST_KMER
        if not self.base_head:
            return functional.cross_entropy(logits.float(), kmers)
        logits = logits.float() + self.site_bias[batch.masked.flatten()]
        bases = torch.stack([kmers >> 2 * (K - 1 - place) & 3 for place in range(K)], dim=1)
        return K * functional.cross_entropy(logits.view(-1, 4), bases.flatten())


def positions(batch):
    return torch.arange(batch.ids.shape[1], device=batch.ids.device).expand(batch.ids.shape)


class Embedder(nn.Module):
    """A sequence's vector: the mean of the encoder's last hidden states, in float32."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, ids):
        return self.encoder(input_ids=ids).last_hidden_state.float().mean(1)
