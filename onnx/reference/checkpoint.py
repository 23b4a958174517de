"""Tiny random Gemma 4 checkpoints in the layout of Hugging Face: shared by make_reference.py and make_tiny.py.

The weights are random, but their scales are chosen so that no part is switched off or saturated: transformers' own
initialisation leaves position tables at one, clip bounds at infinity and logits nearly equal, and would hide mistakes.
"""
import math
import pathlib

import torch
from safetensors.torch import save_file
from transformers.models.gemma4 import (
    Gemma4AudioConfig,
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    Gemma4TextConfig,
    Gemma4VisionConfig,
)


def e_series(ids, vocab_size, *, hidden, per_layer, window, max_positions, positions, wide=True):
    """The shape of E2B, small: per-layer inputs, shared keys and values, two head sizes, double-wide MLP, two towers.
    Without `wide` that of E4B: two key-value heads, one width of MLP, one full layer in six."""
    kinds = (["sliding_attention"] * 3 + ["full_attention"]) * 2
    if not wide:
        kinds = (["sliding_attention"] * 5 + ["full_attention"]) * 2
    text = Gemma4TextConfig(
        vocab_size=vocab_size, vocab_size_per_layer_input=vocab_size, hidden_size=hidden, intermediate_size=2 * hidden,
        hidden_size_per_layer_input=per_layer, num_hidden_layers=len(kinds), layer_types=kinds,
        num_kv_shared_layers=len(kinds) // 2, use_double_wide_mlp=wide, num_attention_heads=4,
        num_key_value_heads=1 if wide else 2, head_dim=16, global_head_dim=32, sliding_window=window,
        max_position_embeddings=max_positions, final_logit_softcapping=30.0,
        pad_token_id=ids["pad"], eos_token_id=ids["eos"], bos_token_id=ids["bos"],
    )
    vision = Gemma4VisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        head_dim=16, position_embedding_size=positions, use_clipped_linears=True,
    )
    audio = Gemma4AudioConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, subsampling_conv_channels=[128, 8],
        output_proj_dims=40,
    )
    return Gemma4Config(text_config=text, vision_config=vision, audio_config=audio, tie_word_embeddings=True,
                        **media_ids(ids))


def large(ids, vocab_size, *, hidden, window, max_positions, positions, experts):
    """The shape of 26B-A4B with experts and of 31B without, small: pictures see themselves in both directions, full
    layers take their keys for values, the vision tower has heads of an odd width and standardised features."""
    kinds = (["sliding_attention"] * 5 + ["full_attention"]) * (1 if experts else 2)
    mixture = dict(enable_moe_block=True, num_experts=8, top_k_experts=3, moe_intermediate_size=20) if experts else {}
    text = Gemma4TextConfig(
        vocab_size=vocab_size, hidden_size=hidden, intermediate_size=hidden, hidden_size_per_layer_input=0,
        num_hidden_layers=len(kinds), layer_types=kinds, num_kv_shared_layers=0, num_attention_heads=4,
        num_key_value_heads=2, num_global_key_value_heads=1, head_dim=16, global_head_dim=32, attention_k_eq_v=True,
        use_bidirectional_attention="vision", sliding_window=window, max_position_embeddings=max_positions,
        final_logit_softcapping=30.0, pad_token_id=ids["pad"], eos_token_id=ids["eos"], bos_token_id=ids["bos"],
        **mixture,
    )
    vision = Gemma4VisionConfig(
        hidden_size=48, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        head_dim=24, position_embedding_size=positions, use_clipped_linears=False, standardize=True,
    )
    return Gemma4Config(text_config=text, vision_config=vision, audio_config=None, tie_word_embeddings=True,
                        **media_ids(ids))


def media_ids(ids):
    """The ids of soft tokens and of what stands around them."""
    return dict(
        image_token_id=ids["image"], video_token_id=ids["video"], audio_token_id=ids["audio"],
        boi_token_id=ids["begin_image"], eoi_token_id=ids["end_image"],
        boa_token_id=ids["begin_audio"], eoa_token_index=ids["end_audio"],
    )


SIZES = dict(hidden=48, window=8, max_positions=512, positions=64)
ARCHITECTURES = {
    "e2b": lambda ids, vocab_size: e_series(ids, vocab_size, per_layer=8, **SIZES),
    "e4b": lambda ids, vocab_size: e_series(ids, vocab_size, per_layer=8, wide=False, **SIZES),
    "26b-a4b": lambda ids, vocab_size: large(ids, vocab_size, experts=True, **SIZES),
    "31b": lambda ids, vocab_size: large(ids, vocab_size, experts=False, **SIZES),
}


def random_model(config, seed):
    """A model with that configuration whose weights are drawn from `seed`."""
    model = Gemma4ForConditionalGeneration(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in sorted({**dict(model.named_parameters()), **dict(model.named_buffers())}.items()):
            draw(name, tensor, generator)
    return model


def draw(name, tensor, generator):
    """Fills one tensor, by its name; buffers that are computed from the configuration are left alone."""
    noise = torch.randn(tensor.shape, generator=generator)
    bound = 2.5 + 1.5 * torch.rand(tensor.shape, generator=generator)
    if name.endswith(("inv_freq", "inv_timescales", "embed_scale", "softcap")):
        return
    elif name.endswith(("input_min", "output_min")):
        tensor.copy_(-bound)
    elif name.endswith(("input_max", "output_max")):
        tensor.copy_(bound)
    elif name.endswith("layer_scalar"):
        tensor.copy_(1 + 0.1 * noise)
    elif name.endswith("per_dim_scale"):
        tensor.copy_(0.3 * noise)
    elif name.endswith(("q_norm.weight", "k_norm.weight")):
        tensor.copy_(0.7 + 0.1 * noise)  # the softmax has no 1/sqrt(width): one would saturate it
    elif name.endswith("position_embedding_table"):
        tensor.copy_(0.3 * noise)
    elif name.endswith("std_bias"):
        tensor.copy_(0.5 * noise)
    elif name.endswith(("router.scale", "per_expert_scale")):
        tensor.copy_(1 + 0.3 * noise)
    elif name.endswith("router.proj.weight"):
        tensor.copy_(noise / math.sqrt(tensor.shape[1]) * 3)  # so that the experts' shares differ
    elif name.endswith(("gate_up_proj", "experts.down_proj")):
        tensor.copy_(noise / math.sqrt(tensor.shape[2]))
    elif name.endswith("language_model.norm.weight"):
        tensor.copy_(3 * noise)  # spreads the logits; of both signs, else the tied head favours the last token
    elif "embed_tokens" in name:
        tensor.copy_(noise / math.sqrt(tensor.shape[1] if "per_layer" not in name else 64))
    elif tensor.ndim == 1:
        tensor.copy_((0 if name.endswith("bias") else 1) + 0.1 * noise)
    elif tensor.ndim >= 2:
        tensor.copy_(noise / math.sqrt(math.prod(tensor.shape[1:])))
    else:
        raise ValueError(f"no rule for {name} {tuple(tensor.shape)}")


def save(model, folder, tensors=None):
    """config.json, generation_config.json and model.safetensors, as `save_pretrained` names things; other tensors in place
    of the model's own where they are given."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model.config.architectures = ["Gemma4ForConditionalGeneration"]
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    tensors = {name: tensor.contiguous() for name, tensor in (tensors or model.state_dict()).items()}
    tensors.pop("lm_head.weight", None)  # tied
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
