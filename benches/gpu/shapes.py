"""Small models with random weights that have what is rare in the family: heads of 512, layers that share keys and
values and so get none of their own, pictures that are seen in both directions, and experts.

The checkpoints of fixtures/family have heads of 16 and 32, which every kernel takes. Those here have the heads of
the real models, 256 on sliding layers and 512 on full ones, and little else of their size. `lapidary model
synthesize CONFIG` draws their weights.
"""
import json
import threading

VOCABULARY = 1024
SOFT = {"boi_token_id": 1017, "boa_token_id": 1018, "image_token_id": 1019, "audio_token_id": 1020, "eoi_token_id": 1021,
        "eoa_token_index": 1022, "video_token_id": 1023}
"""Ids with a meaning, at the end of a small vocabulary."""

REAL_SOFT = {"boi_token_id": 255999, "boa_token_id": 256000, "image_token_id": 258880, "audio_token_id": 258881,
             "eoi_token_id": 258882, "eoa_token_index": 258883, "video_token_id": 258884}
"""The same in the real vocabulary."""

WIDE = {
    "wide-e": {"layers": 8, "heads": 4, "kv_heads": 1, "shared": 4, "per_layer": 32,
               "covers": "heads of 512, layers without keys and values of their own"},
    "wide-dense": {"layers": 6, "heads": 4, "kv_heads": 2, "full_kv_heads": 1, "both_ways": True,
                   "covers": "heads of 512, pictures seen in both directions (31B)"},
    "wide-moe": {"layers": 6, "heads": 4, "kv_heads": 2, "full_kv_heads": 1, "both_ways": True, "experts": 16,
                 "covers": "experts, pictures seen in both directions (26B-A4B)"},
}

SMALL = {"layers": 4, "heads": 2, "kv_heads": 1, "shared": 2, "per_layer": 16, "hidden": 128, "window": 64}
"""What stands for E2B where only the chain is tried: its vocabulary, and hardly anything behind it."""


def config(facts, vocabulary=VOCABULARY, soft=None):
    """The object of a config.json."""
    hidden = facts.get("hidden", 256)
    return {
        "architectures": ["Gemma4ForConditionalGeneration"],
        "model_type": "gemma4",
        "dtype": "bfloat16",
        "tie_word_embeddings": True,
        "text_config": text(facts, hidden, vocabulary),
        "vision_config": vision(),
        "audio_config": None,
        "eos_token_id": [1, 106],
    } | (soft or SOFT)


def text(facts, hidden, vocabulary):
    """`text_config`."""
    layers, experts = facts["layers"], facts.get("experts")
    every = layers // 2 if facts.get("shared") else layers
    kinds = ["full_attention" if layer % every == every - 1 else "sliding_attention" for layer in range(layers)]
    return {
        "model_type": "gemma4_text",
        "vocab_size": vocabulary,
        "vocab_size_per_layer_input": vocabulary,
        "hidden_size": hidden,
        "hidden_size_per_layer_input": facts.get("per_layer", 0),
        "intermediate_size": 2 * hidden,
        "use_double_wide_mlp": bool(facts.get("shared")),
        "num_hidden_layers": layers,
        "layer_types": kinds,
        "num_attention_heads": facts["heads"],
        "num_key_value_heads": facts["kv_heads"],
        "num_global_key_value_heads": facts.get("full_kv_heads"),
        "head_dim": 256,
        "global_head_dim": 512,
        "attention_bias": False,
        "attention_k_eq_v": bool(facts.get("both_ways")),
        "num_kv_shared_layers": facts.get("shared", 0),
        "sliding_window": facts.get("window", 32),
        "max_position_embeddings": 4096,
        "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": 1e-6,
        "final_logit_softcapping": 30.0,
        "use_bidirectional_attention": "vision" if facts.get("both_ways") else None,
        "enable_moe_block": bool(experts),
        "num_experts": experts,
        "top_k_experts": 4 if experts else None,
        "moe_intermediate_size": 128 if experts else None,
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            "full_attention": {"rope_type": "proportional", "rope_theta": 1000000.0, "partial_rotary_factor": 0.25},
        },
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    }


def vision():
    """`vision_config`: two layers, with heads as wide as those of E2B."""
    return {
        "model_type": "gemma4_vision",
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": 1e-6,
        "attention_bias": False,
        "patch_size": 16,
        "pooling_kernel_size": 3,
        "position_embedding_size": 10240,
        "rope_parameters": {"rope_type": "axial", "rope_theta": 100.0},
        "use_clipped_linears": True,
        "standardize": False,
    }


def write(folder, name):
    """Writes `folder/NAME/config.json` and gives its path; the folder's name becomes the model's."""
    small = name == "small"
    made = config(SMALL, 262144, REAL_SOFT) if small else config(WIDE[name])
    (folder / name).mkdir(parents=True, exist_ok=True)
    path = folder / name / "config.json"
    # Several models are made at once, and others may be reading it.
    aside = path.with_name(f".config-{threading.get_ident()}.json")
    aside.write_text(json.dumps(made, indent=2) + "\n")
    aside.replace(path)
    return path
