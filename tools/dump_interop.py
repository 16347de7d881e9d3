#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/golden/interop: tiny models as other programs store them, and what they compute.

    tools/dump_interop.py [--out tests/golden/interop] [--seeds tests/fuzz/seeds]

--seeds writes small inputs for the fuzz targets instead.

Checkpoints have the layout of BarcodeBERT's and BarcodeMAE's code (keys, options as an
argparse.Namespace, optimiser, OneCycle scheduler with objects in it), folders that of
transformers. expected.safetensors (expected_cls_and_n.safetensors for the models with [CLS] or with
k-mers that hold N) holds, for each model, the hidden states and logits of the same
tokens, computed in float64. Byte-pair tokenizers are trained here on random barcodes;
bpe_tokens.tsv holds what the `tokenizers` library makes of odd sequences. Needs torch,
transformers, tokenizers and safetensors.
"""

import argparse
import copy
import itertools
import json
import random
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import BertConfig, BertForTokenClassification, BertModel

K = 2
SPECIALS = 2
POSITIONS = 24
SHAPE = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
DECODER_SHAPE = dict(hidden_size=24, num_hidden_layers=1, num_attention_heads=3, intermediate_size=32)
MASKED = [1, 4, 5]


def bert_options(shape, vocabulary=SPECIALS + 4**K, labels=4**K):
    return dict(vocab_size=vocabulary, max_position_embeddings=POSITIONS, num_labels=labels,
                output_hidden_states=True, layer_norm_eps=1e-12, **shape)


def randomised(module):
    """No weight, bias or norm at its neutral value, so that no mix-up goes unseen."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return module.float().eval()


class MaelmModel(nn.Module):
    """Names as in BarcodeMAE's checkpoints of the whole model."""

    def __init__(self, vocabulary=SPECIALS + 4**K):
        super().__init__()
        self.encoder = BertModel(BertConfig(**bert_options(SHAPE, vocabulary)))
        self.decoder = BertForTokenClassification(BertConfig(**bert_options(DECODER_SHAPE, vocabulary)))
        self.projection_layer = nn.Linear(SHAPE["hidden_size"], DECODER_SHAPE["hidden_size"])
        self.decoder_embedding = self.decoder.bert.embeddings.word_embeddings


def ids_of(length, seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(SPECIALS, SPECIALS + 4**K, (1, length), generator=generator)
    ids[0, 2] = 1  # [UNK] takes part
    return ids


def hidden_states(bert, ids):
    return bert.double()(input_ids=ids).last_hidden_state[0].float()


def whole_forward(whole, ids):
    """What the decoder makes of a sequence whose MASKED tokens the encoder does not see."""
    visible = [i for i in range(ids.shape[1]) if i not in MASKED]
    encoded = whole.encoder(input_ids=ids[:, visible], position_ids=torch.tensor([visible]))
    rows = torch.empty(1, ids.shape[1], DECODER_SHAPE["hidden_size"], dtype=torch.float64)
    rows[:, visible] = whole.projection_layer(encoded.last_hidden_state)
    rows[:, MASKED] = whole.decoder_embedding.weight[0]
    return whole.decoder(inputs_embeds=rows)


def old_state_dict(module, **put):
    """With the buffer that transformers stored before 4.31."""
    state = module.float().state_dict()
    prefix = "bert." if any(name.startswith("bert.") for name in state) else ""
    return {prefix + "embeddings.position_ids": torch.arange(POSITIONS)[None], **state, **put}


def save_checkpoint(path, state, run, model, shape, decoder=None, legacy=False, **sizes):
    model = copy.deepcopy(model)  # the step must not reach what is saved
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-5)
    sum(p.sum() for p in model.parameters()).backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-4, total_steps=10)
    # Old schedulers stored a bound method: an object to be made, and getattr to be called.
    content = {
        "model": state,
        # As large as the model twice over in truth; one parameter's is enough to be met.
        "optimizer": {"state": {0: next(iter(optimizer.state_dict()["state"].values()))},
                      "param_groups": optimizer.state_dict()["param_groups"]},
        "scheduler": {**scheduler.state_dict(), "anneal_func": argparse.Namespace(x=1).__eq__},
        "config": argparse.Namespace(**run),
        "epoch": 3, "total_step": 120, "n_samples_seen": 1920, "max_accuracy": 0.25, "best_epoch": 2,
        "bert_config": bert_options(shape, **sizes),
    }
    if decoder is not None:
        content["decoder_config"] = bert_options(decoder, **sizes)
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)


def run_options(arch, **more):
    return {"arch": arch, "k_mer": K, "stride": K, "max_len": 40, "tokenizer": "kmer", "bpe_path": None,
            "tokenize_n_nucleotide": False, "n_layers": 2, "n_heads": 2, "dataset_name": "BIOSCAN-5M",
            "lr": 1e-4, **more}


def dump_models(out):
    expected = {"ids": ids_of(9, 5)[0].to(torch.int32)}
    ids = ids_of(9, 5)

    torch.manual_seed(1)
    encoder = randomised(BertModel(BertConfig(**bert_options(SHAPE))))
    save_checkpoint(out / "maelm.pt", old_state_dict(encoder), run_options("maelm"), encoder, SHAPE)
    save_checkpoint(out / "legacy.pt", old_state_dict(encoder), run_options("maelm"), encoder, SHAPE,
                    legacy=True)
    expected["maelm.hidden"] = hidden_states(encoder, ids)

    torch.manual_seed(2)
    classifier = randomised(BertForTokenClassification(BertConfig(**bert_options(SHAPE))))
    # Non-contiguous and half-precision tensors, and two in one storage.
    state = old_state_dict(classifier)
    weight = "bert.encoder.layer.0.intermediate.dense.weight"
    state[weight] = state[weight].t().contiguous().t()
    both = torch.cat([state["classifier.bias"], state["bert.embeddings.LayerNorm.bias"]])
    labels = 4**K
    state["classifier.bias"], state["bert.embeddings.LayerNorm.bias"] = both[:labels], both[labels:]
    state["bert.embeddings.LayerNorm.weight"] = state["bert.embeddings.LayerNorm.weight"].bfloat16()
    classifier.load_state_dict({n: t for n, t in state.items() if not n.endswith("position_ids")})
    save_checkpoint(out / "transformer.pt", {"module." + n: t for n, t in state.items()},
                    run_options("transformer", stride=None), classifier, SHAPE)
    expected["transformer.hidden"] = hidden_states(classifier.bert, ids)
    expected["transformer.logits"] = classifier.double()(input_ids=ids).logits[0].float()

    torch.manual_seed(3)
    whole = randomised(MaelmModel())
    save_checkpoint(out / "maelm_whole.pt", {"module." + n: t for n, t in whole.state_dict().items()},
                    run_options("maelm"), whole, SHAPE, DECODER_SHAPE)
    whole = whole.double()
    decoded = whole_forward(whole, ids)
    expected["maelm_whole.hidden"] = hidden_states(whole.encoder, ids)
    expected["maelm_whole.decoder_hidden"] = decoded.hidden_states[-1][0].float()
    expected["maelm_whole.logits"] = decoded.logits[0].float()

    # BarcodeMAE+: a whole autoencoder behind [CLS], which comes third among the special tokens.
    torch.manual_seed(8)
    plus = randomised(MaelmModel(SPECIALS + 1 + 4**K))
    save_checkpoint(out / "maelm_cls.pt", plus.state_dict(), run_options("maelm", use_cls_token=True), plus,
                    SHAPE, DECODER_SHAPE, vocabulary=SPECIALS + 1 + 4**K)
    behind_cls = torch.cat([torch.tensor([[2]]), torch.where(ids >= SPECIALS, ids + 1, ids)], dim=1)
    plus_decoded = whole_forward(plus.double(), behind_cls)
    extra = {"cls_ids": behind_cls[0].to(torch.int32),
             "maelm_cls.hidden": hidden_states(plus.encoder, behind_cls),
             "maelm_cls.decoder_hidden": plus_decoded.hidden_states[-1][0].float(),
             "maelm_cls.logits": plus_decoded.logits[0].float()}

    # k-mers with N as tokens, predicted too: the head has 5^k rows.
    torch.manual_seed(9)
    with_n = bert_options(SHAPE, SPECIALS + 5**K, 5**K)
    classifier = randomised(BertForTokenClassification(BertConfig(**with_n)))
    save_checkpoint(out / "with_n.pt", classifier.state_dict(),
                    run_options("transformer", tokenize_n_nucleotide=True, predict_n_nucleotide=True), classifier,
                    SHAPE, vocabulary=SPECIALS + 5**K, labels=5**K)
    kmers = ["".join(p) for p in itertools.product("ACGTN", repeat=K)]
    words = ["[MASK]", "[UNK]", *sorted(kmers, key=lambda kmer: "N" in kmer)]
    n_ids = torch.tensor([[words.index(kmer) for kmer in ("AC", "GN", "NN", "TT", "NA", "[UNK]", "TN")]])
    extra |= {"with_n_ids": n_ids[0].to(torch.int32), "with_n.hidden": hidden_states(classifier.bert, n_ids),
              "with_n.logits": classifier.double()(input_ids=n_ids).logits[0].float()}
    save_file({name: tensor.contiguous() for name, tensor in extra.items()},
              out / "expected_cls_and_n.safetensors")

    # As the hub has BarcodeBERT: a token classifier, and another vocabulary's order.
    torch.manual_seed(4)
    classifier = randomised(BertForTokenClassification(BertConfig(**bert_options(SHAPE))))
    classifier.save_pretrained(out / "token_classifier")
    kmers = ["".join(p) for p in itertools.product("ACGT", repeat=K)]
    (out / "token_classifier" / "vocab.txt").write_text("\n".join(["<UNK>", "<MASK>", *kmers]) + "\n")
    theirs = ids.clone()
    theirs[ids == 1], theirs[ids == 0] = 0, 1
    expected["token_classifier.hidden"] = hidden_states(classifier.bert, theirs)

    save_file({name: tensor.contiguous() for name, tensor in expected.items()},
              out / "expected.safetensors")
    return ids


def odd_sequence(rng):
    bases = rng.choices("ACGT", weights=(3, 2, 2, 4), k=rng.choice((1, 2, 5, 20, 60, 200, 658)))
    for _ in range(rng.choice((0, 0, 1, 4))):
        bases[rng.randrange(len(bases))] = rng.choice("NRYK")
    if rng.random() < 0.3:
        begin = rng.randrange(len(bases))
        bases[begin:begin + 8] = "A" * 8
    return "".join(bases).rstrip("N") or "A"


def dump_tokenizers(out):
    rng = random.Random(7)
    corpus = ["".join(rng.choices("ACGT", weights=(3, 2, 2, 4), k=400)) for _ in range(80)]
    corpus += [text[:200] + "ACCTGA" * 10 + text[200:] for text in corpus]
    lines = []
    for name, size, pre in (("byte_level", 96, pre_tokenizers.ByteLevel(add_prefix_space=False)),
                            ("whitespace", 64, pre_tokenizers.Whitespace())):
        tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre
        specials = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
        tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(
            vocab_size=size, special_tokens=specials, show_progress=False))
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
        path = out / f"bpe_{name}.json"
        tokenizer.save(str(path))
        content = json.loads(path.read_text())
        if name == "whitespace":  # as older versions wrote it
            content["model"]["merges"] = [
                pair if isinstance(pair, str) else " ".join(pair) for pair in content["model"]["merges"]]
        path.write_text(json.dumps(content, indent=0) + "\n")
        tokenizer = Tokenizer.from_file(str(path))
        for _ in range(150):
            text = odd_sequence(rng)
            # Special tokens as barcodemae numbers them: [MASK] 0, [UNK] 1, [CLS] 2, [SEP] 3, [PAD] 4.
            ids = [{0: 1, 1: 2, 2: 3, 3: 4, 4: 0}.get(i, i) for i in tokenizer.encode(text).ids]
            lines.append(f"{name}\t{text}\t{' '.join(map(str, ids))}\n")
    (out / "bpe_tokens.tsv").write_text("tokenizer\tsequence\tids\n" + "".join(lines))

    # A model that reads byte pairs: rows of its word table in the file's order of ids.
    torch.manual_seed(6)
    config = BertConfig(**bert_options(SHAPE, vocabulary=64, labels=59))
    model = randomised(BertModel(config))
    model.save_pretrained(out / "bpe_model")
    tokenizer.save(str(out / "bpe_model" / "tokenizer.json"))
    text = "ACGTTGCAACCTGANACGTTTACCTGAACC"
    ids = torch.tensor([tokenizer.encode(text).ids])
    save_file({"hidden": hidden_states(model, ids).contiguous()}, out / "bpe_model" / "expected.safetensors",
              metadata={"sequence": text})


def dump_seeds(seeds):
    """Checkpoints and a tokenizer of few bytes, one of each kind that the readers know."""
    folder = seeds / "torch_file"
    folder.mkdir(parents=True, exist_ok=True)
    row = torch.arange(6, dtype=torch.float32)
    content = {"model": {"half": row.half(), "transposed": row.reshape(2, 3).t(), "double": row[2:].double(),
                         "parameter": nn.Parameter(row[:2]), "numbers": torch.arange(3)},
               "config": argparse.Namespace(k_mer=4, arch="maelm", stride=None, lr=1e-4),
               "bert_config": {"vocab_size": 258, "id2label": {0: "x"}}, "epoch": 3}
    for protocol in (2, 4):
        path = folder / f"protocol_{protocol}.pt"
        torch.save(content, path, pickle_protocol=protocol)
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            (folder / f"protocol_{protocol}.pkl").write_bytes(archive.read(name))
    folder = seeds / "bpe_json"
    folder.mkdir(parents=True, exist_ok=True)
    for name, as_text in (("pairs", False), ("texts", True)):
        tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.train_from_iterator(["ACCTGAACCTGA" * 9], trainers.BpeTrainer(
            vocab_size=14, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
        content = json.loads(tokenizer.to_str())
        if as_text:
            content["model"]["merges"] = [
                pair if isinstance(pair, str) else " ".join(pair) for pair in content["model"]["merges"]]
        (folder / f"{name}.json").write_text(json.dumps(content))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("tests/golden/interop"))
    parser.add_argument("--seeds", type=Path)
    arguments = parser.parse_args()
    if arguments.seeds is not None:
        dump_seeds(arguments.seeds)
        return
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    dump_models(out)
    with torch.no_grad():
        dump_tokenizers(out)


if __name__ == "__main__":
    main()
