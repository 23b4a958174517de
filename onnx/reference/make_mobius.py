"""What mobius-onnx makes of a checkpoint: embedding, decoder, vision_encoder and audio_encoder, each with its data file.

python make_mobius.py CHECKPOINT OUT    (needs mobius-onnx==0.1.0 and onnxscript beside requirements.txt)

mobius reads the configuration through attributes that transformers 5.23 no longer answers, and takes the number of audio
heads for granted; both are put right before its own build runs. Right for checkpoints in the shape of E2B and E4B.
"""
import argparse
import pathlib

import transformers
from mobius._builder import build_from_module
from mobius._config_resolver import _config_from_hf, _default_task_for_model
from mobius._registry import registry
from mobius.models import gemma4
from safetensors.torch import load_file


def configuration(checkpoint):
    """The whole configuration, and the text model's as mobius wants it."""
    whole = transformers.AutoConfig.from_pretrained(checkpoint)
    text = whole.text_config
    text.allow_global_per_layer_attribute_access = True
    text.global_head_dim = text.per_layer_config[text.layer_types.index("full_attention")].head_dim
    return whole, _config_from_hf(text, parent_config=whole)


def main():
    """Writes the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    given = parser.parse_args()
    whole, config = configuration(given.checkpoint)
    encoder, heads = gemma4.Gemma4AudioEncoder, whole.audio_config.num_attention_heads
    gemma4.Gemma4AudioEncoder = lambda **arguments: encoder(**{**arguments, "num_heads": heads})
    module = registry.get(whole.model_type)(config)
    package = build_from_module(module, config, task=_default_task_for_model(whole.model_type))
    package.apply_weights(module.preprocess_weights(load_file(given.checkpoint / "model.safetensors")))
    package.save(str(given.out), progress_bar=False)


if __name__ == "__main__":
    main()
