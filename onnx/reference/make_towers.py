"""Reference vectors for the vision and audio encoders: several pictures and several clips in one call.

Needs torch, transformers 5.23, numpy and safetensors. Run it in the root of the repository:

    python onnx/reference/make_towers.py

It reads fixtures/reference/e2b_like.{config.json,safetensors} (random weights) and writes fixtures/reference/towers.npz:

    pixel_values           f32 [3, 45, 768]   pictures of 3 x 9, 6 x 3 and 6 x 6 patches, padded to 45
    pixel_position_ids     i64 [3, 45, 2]     column and row, -1 for padding
    image_features         f32 [9, hidden]    3 + 2 + 4 soft tokens
    plain_image_features   f32 [9, hidden]    the same with use_clipped_linears off
    input_features         f32 [3, 210, 128]  clips of 210, 53 and 98 frames, what stands in the padding is noise
    input_features_mask    u8  [3, 210]
    audio_features         f32 [92, hidden]   53 + 14 + 25 soft tokens
    plain_audio_features   f32 [92, hidden]   the same with use_clipped_linears off
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import Gemma4Config, Gemma4ForConditionalGeneration

FOLDER = Path("fixtures/reference")
GRIDS = [(3, 9), (6, 3), (6, 6)]
PATCHES = 45
FRAMES = [210, 53, 98]


def model(clipped):
    """The checkpoint as transformers computes it, with or without clipped linears."""
    config = json.loads((FOLDER / "e2b_like.config.json").read_text())
    for tower in ("vision_config", "audio_config"):
        config[tower]["use_clipped_linears"] = clipped
    made = Gemma4ForConditionalGeneration(Gemma4Config(**config)).eval()
    lost = made.load_state_dict(load_file(FOLDER / "e2b_like.safetensors"), strict=False)
    missing = [name for name in lost.missing_keys if "lm_head" not in name]
    assert not missing, missing
    return made.model


def pictures(random):
    """Eighths, so that the file packs well."""
    pixels = random.integers(0, 9, (len(GRIDS), PATCHES, 768)).astype(np.float32) / 8
    places = np.full((len(GRIDS), PATCHES, 2), -1, np.int64)
    for index, (width, height) in enumerate(GRIDS):
        grid = [(column, row) for row in range(height) for column in range(width)]
        places[index, : len(grid)] = grid
    return pixels, places


def clips(random):
    """Noise in steps of a quarter around the values that log-mel frames have."""
    frames = np.round(random.normal(-3, 3, (len(FRAMES), max(FRAMES), 128)) * 4).astype(np.float32) / 4
    mask = np.arange(max(FRAMES))[None] < np.array(FRAMES)[:, None]
    return frames, mask


def features(made, pixels, places, frames, mask):
    """Soft tokens of all pictures and of all clips, one after the other."""
    with torch.no_grad():
        image = made.get_image_features(torch.from_numpy(pixels), torch.from_numpy(places), return_dict=True)
        audio = made.get_audio_features(torch.from_numpy(frames), torch.from_numpy(mask), return_dict=True)
    return torch.cat(list(image.pooler_output)).numpy(), audio.pooler_output[audio.attention_mask].numpy()


def main():
    random = np.random.default_rng(7)
    pixels, places = pictures(random)
    frames, mask = clips(random)
    image, audio = features(model(True), pixels, places, frames, mask)
    plain_image, plain_audio = features(model(False), pixels, places, frames, mask)
    np.savez_compressed(
        FOLDER / "towers.npz",
        pixel_values=pixels,
        pixel_position_ids=places,
        image_features=image,
        plain_image_features=plain_image,
        input_features=frames,
        input_features_mask=mask.astype(np.uint8),
        audio_features=audio,
        plain_audio_features=plain_audio,
    )
    print("image", image.shape, np.abs(image - plain_image).max(), "audio", audio.shape, np.abs(audio - plain_audio).max())


if __name__ == "__main__":
    main()
