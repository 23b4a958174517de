"""What transformers makes of a checkpoint: vectors against which anyone can hold an exported bundle.

python make_reference.py OUT.npz --checkpoint FOLDER [--seed N] [--steps N] [--text IDS] [--image COLUMNSxROWS]... [--audio FRAMES]
python make_reference.py OUT.npz --new SHAPE FOLDER [...]    first writes a random checkpoint of that shape to FOLDER

The prompt is BOS, then random text with pictures of random pixels (COLUMNS x ROWS soft tokens each) and one clip of
random log-mel (FRAMES frames, for models that hear) between its parts. All arrays carry the names that
`lapidary model eval` knows, so that
    input_ids [1,S] i64, pixel_values [n,P,768] f32, pixel_position_ids [n,P,2] i64 (-1 = padding),
    input_features [1,T,128] f32, input_features_mask [1,T] u8
can be fed to a bundle as they are (OUT.safetensors holds just these), and the results compared with
    image_features [n,H], audio_features [m,H], logits [S,V], step_id [1], step_logits [1,V] and greedy [steps] i64.
"""
import argparse
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import Gemma4ForConditionalGeneration

from checkpoint import ARCHITECTURES, random_model, save

SMALL_IDS = {"pad": 0, "eos": 1, "bos": 2, "begin_image": 290, "end_image": 291, "image": 292, "video": 293,
             "begin_audio": 294, "end_audio": 295, "audio": 296}


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--checkpoint", type=pathlib.Path)
    which.add_argument("--new", nargs=2, metavar=("SHAPE", "FOLDER"), help=f"SHAPE: {', '.join(ARCHITECTURES)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--text", type=int, default=24, help="random text ids, before, between and behind the media")
    parser.add_argument("--image", action="append", default=[], help="soft tokens, COLUMNSxROWS; may be given again")
    parser.add_argument("--audio", type=int, default=0, help="log-mel frames; 0 for none")
    return parser.parse_args()


def model_of(given):
    """The checkpoint to run: a given one, or a new random one."""
    if given.checkpoint:
        return Gemma4ForConditionalGeneration.from_pretrained(given.checkpoint, dtype=torch.float32).eval()
    shape, folder = given.new
    model = random_model(ARCHITECTURES[shape](SMALL_IDS, 300), given.seed)
    save(model, folder)
    return model


def inputs_of(config, given):
    """Random inputs, under the names of `lapidary model eval`."""
    random = np.random.default_rng(given.seed)
    ordinary = [n for n in range(3, config.text_config.vocab_size) if n not in special(config)]
    inputs, media = {}, []
    if given.image:
        grids = [tuple(int(side) for side in image.split("x")) for image in given.image]
        inputs["pixel_values"], inputs["pixel_position_ids"] = pictures(random, grids)
        media += [[config.boi_token_id, *[config.image_token_id] * (columns * rows), config.eoi_token_id]
                  for columns, rows in grids]
    if given.audio:
        inputs["input_features"] = random.normal(-3, 2, (1, given.audio, 128)).astype(np.float32)
        inputs["input_features_mask"] = np.ones((1, given.audio), np.uint8)
        tokens = ((given.audio - 1) // 2 + 1 - 1) // 2 + 1
        media.append([config.boa_token_id, *[config.audio_token_id] * tokens, config.eoa_token_index])
    parts = np.array_split(random.choice(ordinary, given.text), len(media) + 1)
    ids = [config.text_config.bos_token_id, *parts[0].tolist()]
    for piece, part in zip(media, parts[1:]):
        ids += [*piece, *part.tolist()]
    return {"input_ids": np.array([ids], np.int64), **inputs}


def pictures(random, grids):
    """Random patches of pictures with these numbers of soft tokens, padded to as many; eighths, which pack well."""
    most = max(9 * columns * rows for columns, rows in grids)
    pixels = np.zeros((len(grids), most, 768), np.float32)
    places = np.full((len(grids), most, 2), -1, np.int64)
    for index, (columns, rows) in enumerate(grids):
        y, x = np.mgrid[0:3 * rows, 0:3 * columns]
        pixels[index, :x.size] = random.integers(0, 9, (x.size, 768)) / 8
        places[index, :x.size] = np.stack([x.ravel(), y.ravel()], -1)
    return pixels, places


def special(config):
    """Ids that a random text must not hold."""
    names = ("boi_token_id", "eoi_token_id", "image_token_id", "video_token_id", "boa_token_id", "eoa_token_index",
             "audio_token_id")
    return {getattr(config, name) for name in names}


def keywords(config, inputs):
    """The same inputs as transformers names them."""
    ids = torch.from_numpy(inputs["input_ids"])
    kinds = (ids == config.image_token_id) * 1 + (ids == config.audio_token_id) * 3
    named = {"input_ids": ids, "mm_token_type_ids": kinds, "attention_mask": torch.ones_like(ids)}
    if "pixel_values" in inputs:
        named["pixel_values"] = torch.from_numpy(inputs["pixel_values"])
        named["image_position_ids"] = torch.from_numpy(inputs["pixel_position_ids"])
    if "input_features" in inputs:
        named["input_features"] = torch.from_numpy(inputs["input_features"])
        named["input_features_mask"] = torch.from_numpy(inputs["input_features_mask"]).bool()
    return named


def features(model, named):
    """What the two towers make of their inputs, in the width of the text model."""
    found = {}
    if "pixel_values" in named:
        found["image_features"] = model.model.get_image_features(
            named["pixel_values"], named["image_position_ids"], return_dict=True).pooler_output
    if "input_features" in named:
        found["audio_features"] = model.model.get_audio_features(
            named["input_features"], named["input_features_mask"], return_dict=True).pooler_output
    joined = {name: torch.cat(value) if isinstance(value, (tuple, list)) else value for name, value in found.items()}
    return {name: value.reshape(-1, value.shape[-1]) for name, value in joined.items()}


def greedy(model, named, steps):
    """Logits of the prompt and of the second step, and the first greedy tokens (end tokens do not end it)."""
    result = model(**named, use_cache=True)
    logits, tokens, margins, step_logits = result.logits[0], [], [], None
    for _ in range(steps):
        best = result.logits[0, -1].topk(2)
        margins.append((best.values[0] - best.values[1]).item())
        tokens.append(int(best.indices[0]))
        result = model(input_ids=torch.tensor([tokens[-1:]]), past_key_values=result.past_key_values, use_cache=True)
        step_logits = result.logits[0] if step_logits is None else step_logits
    print(f"the best token leads by {min(margins):.3f} or more")
    return {"logits": logits, "step_id": torch.tensor(tokens[:1]), "step_logits": step_logits,
            "greedy": torch.tensor(tokens)}


def main():
    """Writes OUT.npz and OUT.safetensors."""
    given = arguments()
    model = model_of(given)
    inputs = inputs_of(model.config, given)
    named = keywords(model.config, inputs)
    with torch.no_grad():
        results = {**features(model, named), **greedy(model, named, given.steps)}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(given.out, **inputs, **{name: value.numpy() for name, value in results.items()})
    save_file(inputs, given.out.with_suffix(".safetensors"))
    spread = results["logits"].std().item()
    print(f"{inputs['input_ids'].shape[1]} ids, logits spread {spread:.2f}, greedy {results['greedy'].tolist()}")


if __name__ == "__main__":
    main()
