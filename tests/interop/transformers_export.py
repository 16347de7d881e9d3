# SPDX-License-Identifier: MIT
"""Loads exported folders as BertForTokenClassification and writes what comes out for the C++ test.

usage: transformers_export.py IDS FOLDER...
IDS     JSON: a list of token ids, or of embedding rows (to a decoder)
FOLDER  gets out.safetensors: hidden and logits
Exit code 77: this Python lacks a package.
"""

import json
import sys

try:
    import torch
    from safetensors.torch import save_file
    from transformers import BertForTokenClassification
except ImportError as error:
    print(error)
    sys.exit(77)

with open(sys.argv[1]) as file:
    inputs = json.load(file)
for path in sys.argv[2:]:
    model, loading = BertForTokenClassification.from_pretrained(path, output_loading_info=True)
    problems = {kind: names for kind, names in loading.items() if names}
    if problems:
        sys.exit(f"{path}: {problems}")
    if isinstance(inputs[0], list):
        given = {"inputs_embeds": torch.tensor([inputs], dtype=torch.float32)}
    else:
        given = {"input_ids": torch.tensor([inputs])}
    with torch.no_grad():
        output = model.eval()(**given, output_hidden_states=True)
    save_file({"hidden": output.hidden_states[-1][0].contiguous(), "logits": output.logits[0].contiguous()},
              f"{path}/out.safetensors")
