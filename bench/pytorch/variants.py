# SPDX-License-Identifier: MIT
"""The ways in which PyTorch is run. Needs Python alone."""

from dataclasses import dataclass


@dataclass
class Variant:
    says: str
    weights: str = "f32"  # bf16 in training: with float32 masters for AdamW
    masters: bool = True
    autocast: bool = False  # to bfloat16
    attention: str = "sdpa"
    compiled: bool = False  # in inference with frozen weights, which oneDNN then packs
    autotuned: bool = False  # by Inductor, which may choose its own products
    as_shipped: bool = False  # what its users run, in an environment as it is
    one_by_one: bool = False
    largest_batch: int = 1 << 16  # of those measured unless --variant asks for it
    devices: tuple = ("cpu",)

    @property
    def precision(self):
        return "bf16" if self.autocast or self.weights == "bf16" else "f32"

    def runs_on(self, device, simd, isa):
        """Below AVX-512 bfloat16 is emulated; Inductor's own products cannot be kept off AMX."""
        if device not in self.devices:
            return False
        if device != "cpu":
            return True
        if simd in ("avx2", "scalar") and self.precision == "bf16":
            return False
        return not (self.autotuned and isa != "best")


ANY = ("cpu", "cuda")
GPU = ("cuda",)
VARIANTS = {
    "train": {
        "authors-f32": Variant("float32, eager attention, logits of all tokens", attention="eager",
                               as_shipped=True, largest_batch=64, devices=ANY),
        "f32": Variant("float32, only what the loss needs, fused AdamW", attention="eager", largest_batch=64),
        "f32-compiled": Variant("the same, torch.compile", attention="eager", compiled=True, largest_batch=64),
        "autocast-sdpa": Variant("bfloat16 autocast, SDPA", autocast=True, devices=ANY),
        "autocast-sdpa-compiled": Variant("the same, torch.compile", autocast=True, compiled=True, devices=GPU),
        "autocast": Variant("bfloat16 autocast, eager attention", autocast=True, attention="eager"),
        "autocast-compiled": Variant("the same, torch.compile", autocast=True, attention="eager", compiled=True),
        "bf16-sdpa": Variant("bfloat16 weights with float32 masters, SDPA", weights="bf16", devices=ANY),
        "bf16-sdpa-compiled": Variant("the same, torch.compile", weights="bf16", compiled=True, devices=GPU),
        "bf16-pure-compiled": Variant("the same without masters: moments in bfloat16 too", weights="bf16",
                                      masters=False, compiled=True, devices=GPU),
        "bf16": Variant("the same, eager attention", weights="bf16", attention="eager"),
        "bf16-compiled": Variant("the same, torch.compile", weights="bf16", attention="eager", compiled=True),
    },
    "embed": {
        "one-by-one-f32": Variant("float32, one barcode at a time", as_shipped=True, one_by_one=True,
                                  largest_batch=64, devices=ANY),
        "f32": Variant("float32, SDPA", largest_batch=64),
        "f32-compiled": Variant("the same, torch.compile", compiled=True, largest_batch=64),
        "bf16": Variant("bfloat16 weights, SDPA", weights="bf16", devices=ANY),
        "bf16-compiled": Variant("the same, torch.compile", weights="bf16", compiled=True, devices=ANY),
        "bf16-autotuned": Variant("the same, autotuned", weights="bf16", compiled=True, autotuned=True,
                                  devices=ANY),
    },
}
