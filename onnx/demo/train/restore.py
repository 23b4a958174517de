"""The weights of an exported bundle, back in the model: what training goes on from where its state is gone.

A bundle in 8 or 4 bits gives them to within half a step of its codes. The heads that only training has are not in it."""
import pathlib

import numpy
import onnx
import torch
from onnx import numpy_helper

PARTS = ["vision_encoder", "decoder_model_merged", "embed_tokens"]


def stored(folder):
    """All weights of the bundle's graphs by name, in f32 and as the graphs hold them: maps lie [inputs, outputs]."""
    found = {}
    for part in PARTS:
        graph = onnx.load(pathlib.Path(folder) / "onnx" / f"{part}.onnx").graph
        found |= {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for name in [name for name in found if name.endswith(".s8")]:
        codes, scales = found.pop(name).astype(numpy.float32), found.pop(name.removesuffix("s8") + "scales")
        # One scale for each output, or for each layer's share of a row.
        whole = codes.reshape(*scales.shape[:-1], -1) * scales if scales.ndim == 3 else codes * scales
        found[name.removesuffix(".s8")] = whole.reshape(codes.shape)
    for name in [name for name in found if name.endswith(".u4")]:
        values = from_blocks(found.pop(name), found.pop(name.removesuffix("u4") + "scales"))
        # Kept row by row, where 8 bits keep all but this table turned.
        found[name.removesuffix(".u4")] = values if "per_layer.weight" in name else values.T
    return found


def from_blocks(codes, scales):
    """Rows of values, from two codes to a byte, the low half first, of which 8 is nothing, and a scale for each 32."""
    halves = numpy.stack([codes & 15, codes >> 4], -1).reshape(codes.shape[0], -1, 32).astype(numpy.float32) - 8
    return (halves * scales.reshape(codes.shape[0], -1, 1)).reshape(codes.shape[0], -1)


def named(found, name, shape):
    """One weight as transformers holds it: [outputs, inputs], tables whole, groups of layers joined."""
    if name.endswith("position_embedding_table"):
        sides = [found[f"{name}.{side}"][: shape[1]] for side in ("columns", "rows")]
        return numpy.stack(sides)
    if name.endswith(("per_layer_model_projection.weight", "per_layer_projection_norm.weight")):
        groups = sorted((key for key in found if key.startswith(f"{name}.")), key=lambda key: int(key.rsplit(".", 1)[1]))
        return numpy.concatenate([found[key].T for key in groups]) if len(shape) == 2 else found[groups[0]] * 2 ** 0.5
    weight = found[name]
    if name.startswith("vision_tower") and any(part in name for part in ("q_proj", "k_proj", "q_norm", "k_norm")):
        weight = in_quarters(weight)
    return weight.T if weight.ndim == 2 and "per_layer.weight" not in name else weight


def in_quarters(weight, head_dim=64):
    """Queries or keys of the tower in transformers' order: the graphs hold the quarters of each head as 0, 2, 1, 3."""
    quarters = weight.reshape(*weight.shape[:-1], -1, 4, head_dim // 4)
    return quarters[..., [0, 2, 1, 3], :].reshape(weight.shape)


def restore(gemma, folder):
    """Puts the weights of the bundle in `folder` into the model; a weight that the bundle lacks is an error."""
    found = stored(folder)
    with torch.no_grad():
        tensors = dict(gemma.named_parameters()) | {name: buffer for name, buffer in gemma.named_buffers() if name.endswith("layer_scalar")}
        for name, tensor in tensors.items():
            short = name.removeprefix("model.")
            if unused(short):
                continue
            weight = torch.from_numpy(numpy.array(named(found, short, tensor.shape)))
            if weight.shape != tensor.shape:
                raise SystemExit(f"{short} is {list(weight.shape)} in the bundle and {list(tensor.shape)} here")
            tensor.copy_(weight)


def unused(name):
    """Keys and values of layers that take those of others: the graphs hold none."""
    parts = name.split(".")
    if not name.startswith("language_model.layers.") or parts[3] != "self_attn":
        return False
    return int(parts[2]) >= 3 and parts[4] in ("k_proj", "v_proj", "k_norm", "v_norm")
