"""A decoder as public exports have it, of plain operators: its present is past and new keys in another tensor, so that
no buffer can be shared, and attention is MatMul, mask, Softmax, MatMul.

python make_layouts.py CHECKPOINT OUT    writes OUT/onnx/decoder_model_merged{,_fp16,_kv16}.onnx over two data files

All compute in f32; _fp16 takes and gives f16, _kv16 has f16 for past and present alone. The checkpoint is one of make_reference.py in the shape of E2B.
"""
import argparse
import json
import pathlib

import numpy as np
from onnx import TensorProto
from safetensors.numpy import load_file

from plain_graph import Graph, Weights

PREFIX = "model.language_model."
NAME = "decoder_model_merged"


class Decoder:
    """The text model of a checkpoint as one graph."""

    def __init__(self, config, tensors, weights, dtype, cache_dtype):
        self.config, self.tensors, self.graph = config, tensors, Graph(weights)
        self.dtype, self.cache_dtype = dtype, cache_dtype
        self.layers = config["num_hidden_layers"]
        self.own = self.layers - config["num_kv_shared_layers"]
        self.epsilon = config["rms_norm_eps"]
        self.presents = []

    def weight(self, name, transposed=False):
        """A tensor of the checkpoint; maps are stored as MatMul wants them."""
        array = self.tensors[PREFIX + name].astype(np.float32)
        return self.graph.weight(name, array.T if transposed else array)

    def linear(self, x, name):
        """x @ W^T."""
        return self.graph.op("MatMul", x, self.weight(name + ".weight", transposed=True))

    def head_dim(self, layer):
        """Width of one head of a layer."""
        return self.config["per_layer_config"].get(str(layer), {}).get("head_dim", self.config["head_dim"])

    def is_sliding(self, layer):
        """True when the layer sees only the window."""
        return self.config["layer_types"][layer] == "sliding_attention"

    def donor(self, layer):
        """The layer whose keys and values this one reads."""
        if layer < self.own:
            return layer
        return max(own for own in range(self.own) if self.is_sliding(own) == self.is_sliding(layer))

    def build(self, path):
        """The whole graph."""
        self.declare()
        x = self.embeddings
        per_layer = self.per_layer_inputs(x)
        for layer in range(self.layers):
            x = self.layer(layer, x, self.graph.op("Gather", per_layer, self.graph.constant(layer, np.int64), axis=2))
        self.head(x)
        for layer, present in enumerate(self.presents):
            shape = ["batch_size", self.config["num_key_value_heads"], "total_sequence_length", self.head_dim(layer)]
            for value, part in zip(present, ("key", "value")):
                self.graph.output(value, f"present.{layer}.{part}", self.cache_dtype, shape)
        self.graph.save(path, "lapidary make_layouts.py")

    def declare(self):
        """What is fed, the mask and the rotary angles."""
        graph, config = self.graph, self.config
        rows = ["batch_size", "sequence_length"]
        self.embeddings = graph.input("inputs_embeds", self.dtype, [*rows, config["hidden_size"]])
        shape = [*rows, self.layers, config["hidden_size_per_layer_input"]]
        self.token_half = graph.input("per_layer_inputs", self.dtype, shape)
        self.attention_mask = graph.input("attention_mask", TensorProto.INT64, ["batch_size", "total_sequence_length"])
        self.positions = graph.input("position_ids", TensorProto.INT64, rows)
        self.keep = graph.input("num_logits_to_keep", TensorProto.INT64, [])
        self.pasts = []
        for layer in range(self.own):
            shape = ["batch_size", config["num_key_value_heads"], "past_sequence_length", self.head_dim(layer)]
            self.pasts.append([graph.input(f"past_key_values.{layer}.{part}", self.cache_dtype, shape)
                               for part in ("key", "value")])
        self.masks = {sliding: self.mask(sliding) for sliding in (True, False)}
        self.angles = {sliding: self.rotary(sliding) for sliding in (True, False)}

    def mask(self, sliding):
        """[batch, 1, 1, sequence, total]: 0 where a key is seen, else very low."""
        graph = self.graph
        zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
        total = graph.op("Squeeze", graph.op("Shape", self.attention_mask, start=1, end=2))
        length = graph.op("Squeeze", graph.op("Shape", self.positions, start=1, end=2))
        keys = graph.op("Range", zero, total, one)
        queries = graph.op("Unsqueeze", graph.op("Range", graph.op("Sub", total, length), total, one), graph.ints(1))
        seen = graph.op("LessOrEqual", keys, queries)
        if sliding:
            first = graph.op("Sub", queries, graph.constant(self.config["sliding_window"], np.int64))
            seen = graph.op("And", seen, graph.op("Greater", keys, first))
        valid = graph.op("Unsqueeze", graph.op("Cast", self.attention_mask, to=TensorProto.BOOL), graph.ints(1, 2, 3))
        seen = graph.op("And", seen, valid)
        return graph.op("Where", seen, graph.constant(0.0), graph.constant(-1e9))

    def rotary(self, sliding):
        """Cosines and sines, [batch, sequence, 1, head_dim]."""
        graph = self.graph
        kind = "sliding_attention" if sliding else "full_attention"
        given = self.config["rope_parameters"][kind]
        width = next(self.head_dim(layer) for layer in range(self.layers) if self.is_sliding(layer) == sliding)
        turned = int(given.get("partial_rotary_factor", 1.0) * width // 2)
        frequencies = given["rope_theta"] ** (-2 * np.arange(width // 2) / width)
        frequencies[turned:] = 0
        table = graph.constant(np.concatenate([frequencies, frequencies]))
        places = graph.op("Cast", graph.op("Unsqueeze", self.positions, graph.ints(2, 3)), to=TensorProto.FLOAT)
        angles = graph.op("Mul", places, table)
        return graph.op("Cos", angles), graph.op("Sin", angles)

    def rotate(self, x, layer):
        """x * cos + rotate_half(x) * sin."""
        graph, half = self.graph, self.head_dim(layer) // 2
        cos, sin = self.angles[self.is_sliding(layer)]
        low = graph.op("Slice", x, graph.ints(0), graph.ints(half), graph.ints(-1))
        high = graph.op("Slice", x, graph.ints(half), graph.ints(2 * half), graph.ints(-1))
        turned = graph.op("Concat", graph.op("Neg", high), low, axis=-1)
        return graph.op("Add", graph.op("Mul", x, cos), graph.op("Mul", turned, sin))

    def per_layer_inputs(self, x):
        """[batch, sequence, layers, size]: the sum of both halves."""
        graph, config = self.graph, self.config
        context = self.linear(x, "per_layer_model_projection")
        context = graph.op("Mul", context, graph.constant(config["hidden_size"] ** -0.5))
        shape = graph.ints(0, 0, self.layers, config["hidden_size_per_layer_input"])
        context = graph.op("Reshape", context, shape)
        context = graph.norm(context, self.epsilon, self.weight("per_layer_projection_norm.weight"))
        return graph.op("Mul", graph.op("Add", context, self.token_half), graph.constant(2 ** -0.5))

    def layer(self, layer, x, per_layer):
        """One layer of the decoder."""
        graph, prefix = self.graph, f"layers.{layer}."

        def norm(value, name):
            return graph.norm(value, self.epsilon, self.weight(f"{prefix}{name}.weight"))

        x = graph.op("Add", x, norm(self.attention(layer, norm(x, "input_layernorm")), "post_attention_layernorm"))
        y = norm(x, "pre_feedforward_layernorm")
        gate = graph.op("Gelu", self.linear(y, prefix + "mlp.gate_proj"), approximate="tanh")
        y = self.linear(graph.op("Mul", gate, self.linear(y, prefix + "mlp.up_proj")), prefix + "mlp.down_proj")
        x = graph.op("Add", x, norm(y, "post_feedforward_layernorm"))
        gate = graph.op("Gelu", self.linear(x, prefix + "per_layer_input_gate"), approximate="tanh")
        y = self.linear(graph.op("Mul", gate, per_layer), prefix + "per_layer_projection")
        x = graph.op("Add", x, norm(y, "post_per_layer_input_norm"))
        return graph.op("Mul", x, self.weight(prefix + "layer_scalar"))

    def attention(self, layer, x):
        """Attention of one layer; remembers the present of a layer that writes one."""
        graph, config = self.graph, self.config
        query = self.heads(layer, x, "q", config["num_attention_heads"])
        if layer < self.own:
            fresh = [self.heads(layer, x, which, config["num_key_value_heads"]) for which in ("k", "v")]
            self.presents.append([graph.op("Concat", past, new, axis=2) for past, new in zip(self.pasts[layer], fresh)])
        key, value = self.presents[self.donor(layer)]
        groups, width = config["num_key_value_heads"], self.head_dim(layer)
        shares = config["num_attention_heads"] // groups
        query = graph.op("Reshape", query, graph.ints(0, groups, shares, -1, width))
        key, value = (graph.op("Unsqueeze", tensor, graph.ints(2)) for tensor in (key, value))
        weights = graph.op("MatMul", query, graph.op("Transpose", key, perm=[0, 1, 2, 4, 3]))
        weights = graph.op("Softmax", graph.op("Add", weights, self.masks[self.is_sliding(layer)]), axis=-1)
        mixed = graph.op("MatMul", weights, value)
        mixed = graph.op("Reshape", mixed, graph.ints(0, groups * shares, -1, width))
        mixed = graph.op("Reshape", graph.op("Transpose", mixed, perm=[0, 2, 1, 3]), graph.ints(0, 0, -1))
        return self.linear(mixed, f"layers.{layer}.self_attn.o_proj")

    def heads(self, layer, x, which, count):
        """Queries, keys or values, [batch, heads, sequence, head_dim]."""
        graph, prefix = self.graph, f"layers.{layer}.self_attn.{which}_"
        x = graph.op("Reshape", self.linear(x, prefix + "proj"), graph.ints(0, 0, count, self.head_dim(layer)))
        x = graph.norm(x, self.epsilon, None if which == "v" else self.weight(prefix + "norm.weight"))
        x = x if which == "v" else self.rotate(x, layer)
        return graph.op("Transpose", x, perm=[0, 2, 1, 3])

    def head(self, x):
        """Logits of the positions that are kept; all when 0 are asked for."""
        graph, config = self.graph, self.config
        start = graph.op("Neg", graph.op("Reshape", self.keep, graph.ints(1)))
        x = graph.op("Slice", x, start, graph.ints(2 ** 63 - 1), graph.ints(1))
        x = graph.norm(x, self.epsilon, self.weight("norm.weight"))
        logits = graph.op("MatMul", x, self.weight("embed_tokens.weight", transposed=True))
        cap = graph.constant(config["final_logit_softcapping"])
        logits = graph.op("Mul", graph.op("Tanh", graph.op("Div", logits, cap)), cap)
        graph.output(logits, "logits", self.dtype, ["batch_size", "kept_length", config["vocab_size"]])


def main():
    """Writes all graphs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    given = parser.parse_args()
    config = json.loads((given.checkpoint / "config.json").read_text())["text_config"]
    tensors = load_file(given.checkpoint / "model.safetensors")
    folder = given.out / "onnx"
    folder.mkdir(parents=True, exist_ok=True)
    weights = Weights(folder, NAME, part_bytes=700_000)
    single, half = TensorProto.FLOAT, TensorProto.FLOAT16
    for suffix, dtype, cache in (("", single, single), ("_fp16", half, half), ("_kv16", single, half)):
        Decoder(config, tensors, weights, dtype, cache).build(folder / f"{NAME}{suffix}.onnx")
    weights.write()


if __name__ == "__main__":
    main()
