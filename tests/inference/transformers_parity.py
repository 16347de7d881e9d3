# SPDX-License-Identifier: MIT
"""Reads model directories as a Python user would, and writes what comes out for the C++ test.

usage: transformers_parity.py SEQUENCES MODEL...
SEQUENCES  JSON: [{"sequence": …} | {"ids": […], "positions": […]}, …]
MODEL      a directory with config.json, model.safetensors, tokenizer.json; gets out.safetensors:
           ids.<i> and hidden.<i> for each sequence
Exit code 77: this Python lacks a package.
"""

import json
import sys

try:
    import torch
    from safetensors.torch import save_file
    from transformers import AutoTokenizer, BertModel
except ImportError as error:
    print(error)
    sys.exit(77)


def outputs(path, sequences):
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = BertModel.from_pretrained(path, add_pooling_layer=False).eval()
    assert next(model.parameters()).dtype == torch.float32, "hidden states are to be float32"
    tensors = {}
    for i, entry in enumerate(sequences):
        ids = entry["ids"] if "ids" in entry else tokenizer(entry["sequence"])["input_ids"]
        tensors[f"ids.{i}"] = torch.tensor(ids, dtype=torch.int32)
        if not ids:
            continue
        positions = torch.tensor([entry["positions"]]) if "positions" in entry else None
        hidden = model(input_ids=torch.tensor([ids]), position_ids=positions).last_hidden_state
        tensors[f"hidden.{i}"] = hidden[0].contiguous()
    return tensors


with open(sys.argv[1]) as file:
    sequences = json.load(file)
with torch.no_grad():
    for path in sys.argv[2:]:
        save_file(outputs(path, sequences), f"{path}/out.safetensors")
