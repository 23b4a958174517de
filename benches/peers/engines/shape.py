"""The model that all contestants run: the text half of Gemma 4 E2B at full size, or cut to a few layers, as the
config.json of a checkpoint. `lapidary model synthesize CONFIG --as-checkpoint` draws random weights for it.

The sizes are read from onnx/gemma-4-e2b.toml; what all of the family share stands here, as in transformers' converter.
There is no vision and no audio part, so that nobody holds encoders in memory that the workload never calls.
"""
import json
import pathlib
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[3]
VOCABULARY = 262144

QUICK_LAYERS = {"layers": 4, "full_attention_every": 2, "kv_shared_layers": 2}
"""Both kinds of attention, each once with and once without keys and values of its own."""


def config(quick):
    """The object of config.json."""
    entry = tomllib.loads((ROOT / "onnx" / "gemma-4-e2b.toml").read_text())
    return {
        "architectures": ["Gemma4ForConditionalGeneration"],
        "model_type": "gemma4",
        "dtype": "bfloat16",
        "tie_word_embeddings": True,
        "text_config": text(entry["text"] | (QUICK_LAYERS if quick else {}), entry["context"]),
        "vision_config": None,
        "audio_config": None,
        "eos_token_id": [1, 106],
    }


def text(sizes, context):
    """`text_config`."""
    every = sizes["full_attention_every"]
    kinds = ["full_attention" if layer % every == every - 1 else "sliding_attention"
             for layer in range(sizes["layers"])]
    return {
        "model_type": "gemma4_text",
        "vocab_size": VOCABULARY,
        "vocab_size_per_layer_input": VOCABULARY,
        "hidden_size": sizes["hidden_size"],
        "hidden_size_per_layer_input": sizes["per_layer_size"],
        "intermediate_size": sizes["intermediate_size"],
        "use_double_wide_mlp": sizes["double_wide_mlp"],
        "num_hidden_layers": sizes["layers"],
        "layer_types": kinds,
        "num_attention_heads": sizes["heads"],
        "num_key_value_heads": sizes["kv_heads"],
        "head_dim": 256,
        "global_head_dim": 512,
        "attention_bias": False,
        "attention_k_eq_v": False,
        "num_kv_shared_layers": sizes["kv_shared_layers"],
        "sliding_window": sizes["sliding_window"],
        "max_position_embeddings": context,
        "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": 1e-6,
        "final_logit_softcapping": 30.0,
        "enable_moe_block": False,
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            "full_attention": {"rope_type": "proportional", "rope_theta": 1000000.0, "partial_rotary_factor": 0.25},
        },
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    }


def write(folder, quick):
    """Writes `folder/config.json` and gives its path. The folder's name becomes the model's."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.json"
    path.write_text(json.dumps(config(quick), indent=2) + "\n")
    return path


def streamed(quick):
    """Weights that one decoding step reads, whatever the number of rows: all maps of all layers, and the head. The
    tables of embeddings are left out, of which a step reads one row for each token."""
    shape = config(quick)["text_config"]
    hidden, layers, shared = shape["hidden_size"], shape["num_hidden_layers"], shape["num_kv_shared_layers"]
    per_layer = shape["hidden_size_per_layer_input"]
    count = VOCABULARY * hidden + layers * per_layer * hidden
    for layer, kind in enumerate(shape["layer_types"]):
        own_keys = layer < layers - shared
        width = shape["head_dim"] if kind == "sliding_attention" else shape["global_head_dim"]
        wide = shape["intermediate_size"] * (1 if own_keys or not shape["use_double_wide_mlp"] else 2)
        queries, keys = shape["num_attention_heads"] * width, shape["num_key_value_heads"] * width
        count += hidden * (2 * queries + (2 * keys if own_keys else 0) + 3 * wide + 2 * per_layer)
    return count
