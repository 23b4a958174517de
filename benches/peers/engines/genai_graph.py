"""A bundle of ours as onnxruntime-genai reads models: one graph from token ids to logits, and a genai_config.json.

Its generator feeds token ids, a mask, positions and a cache to one graph; ours are two, embedding and decoder. They are
merged as they are, weights untouched: the files of weights are linked, not copied. Two inputs that its generator does
not know become constants: only the last position's logits are wanted, and no cache is ever moved.
"""
import json
import os

import onnx
from onnx import TensorProto, helper

EMBED, DECODER = "embed_tokens.onnx", "decoder_model_merged.onnx"


def package(bundle, folder, config):
    """Makes `folder` from the bundle; `config` is the config.json that the checkpoint was made with."""
    folder.mkdir(parents=True)
    for data in (bundle / "onnx").glob("*.onnx_data"):
        os.link(data, folder / data.name)
    os.link(bundle / "tokenizer.json", folder / "tokenizer.json")
    graph = merged(bundle / "onnx")
    onnx.save(graph, folder / "model.onnx")
    caches = sum(value.name.endswith(".key") for value in graph.graph.input)
    text = genai_config(config["text_config"], caches)
    (folder / "genai_config.json").write_text(json.dumps(text, indent=2) + "\n")


def merged(folder):
    """One graph: input_ids, attention_mask, position_ids and past keys and values in, logits of the last position and
    present keys and values out."""
    embed = onnx.load(folder / EMBED, load_external_data=False)
    decoder = onnx.load(folder / DECODER, load_external_data=False)
    whole = joined(onnx.compose.add_prefix(embed, "embed.", rename_inputs=False, rename_outputs=False), decoder)
    fix(whole.graph, helper.make_tensor("num_logits_to_keep", TensorProto.INT64, [], [1]))
    fix(whole.graph, helper.make_tensor("sliding_offsets", TensorProto.INT64, [1], [0]))
    logits = next(value for value in whole.graph.output if value.name == "logits")
    logits.type.tensor_type.shape.dim[1].dim_value = 1
    return whole


def joined(first, second):
    """The second model fed by the first. (onnx.compose.merge_models does this too, but wants to see the weights.)"""
    given = {value.name for value in first.graph.output}
    whole = onnx.ModelProto()
    whole.CopyFrom(second)
    kept = [value for value in second.graph.input if value.name not in given]
    del whole.graph.input[:], whole.graph.node[:]
    whole.graph.input.extend([*first.graph.input, *kept])
    whole.graph.node.extend([*first.graph.node, *second.graph.node])
    whole.graph.initializer.extend(first.graph.initializer)
    return whole


def fix(graph, constant):
    """An input that the graph may have becomes a constant, instead of its default."""
    for values in (graph.input, graph.initializer):
        for value in [value for value in values if value.name == constant.name]:
            values.remove(value)
    graph.initializer.append(constant)


def genai_config(text, caches):
    """What its generator has to know. `caches` layers write keys and values of their own."""
    io = {
        "inputs": {
            "input_ids": "input_ids",
            "attention_mask": "attention_mask",
            "position_ids": "position_ids",
            "past_key_names": "past_key_values.%d.key",
            "past_value_names": "past_key_values.%d.value",
        },
        "outputs": {
            "logits": "logits",
            "present_key_names": "present.%d.key",
            "present_value_names": "present.%d.value",
        },
    }
    return {
        "model": {
            "type": "gemma4_text",
            "bos_token_id": 2,
            # An id that no answer ends with, so that exactly as many tokens come as are asked for.
            "eos_token_id": [3],
            "pad_token_id": 0,
            "vocab_size": text["vocab_size"],
            "context_length": text["max_position_embeddings"],
            "decoder": {
                "filename": "model.onnx",
                "session_options": {"log_id": "onnxruntime-genai", "provider_options": []},
                "head_size": text["head_dim"],
                "hidden_size": text["hidden_size"],
                "num_attention_heads": text["num_attention_heads"],
                "num_key_value_heads": text["num_key_value_heads"],
                "num_hidden_layers": caches,
                **io,
            },
        },
        "search": {
            "do_sample": False,
            "max_length": 2048,
            "past_present_share_buffer": True,
        },
    }
