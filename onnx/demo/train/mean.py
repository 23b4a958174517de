"""The mean of two models: python mean.py OUT ONE OTHER [--share 0.5] [--coarse], where each is a `checkpoint` that train.py has left or an
exported bundle. OUT is a checkpoint. With `--coarse` its weights lie on the grid of grid.py.

What learned on from one beginning can be averaged weight by weight, and what each of them has forgotten comes back."""
import argparse
import pathlib

import torch
from safetensors.torch import load_file

import samples
from grid import Grid
from model import TRAINED, Reader, write
from restore import restore
from spelling import Speller


def read(gemma, folder):
    """Puts the weights of a checkpoint or of a bundle into the model."""
    path = folder / "model.safetensors"
    if not path.exists():
        return restore(gemma, folder)
    found = load_file(path)
    own = gemma.state_dict()
    with torch.no_grad():
        for name, tensor in found.items():
            table = name.endswith("position_embedding_table")
            own[name].copy_(tensor[:, :TRAINED] if table else tensor)


def main():
    """Reads the command line."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("out", type=pathlib.Path)
    words.add_argument("one", type=pathlib.Path)
    words.add_argument("other", type=pathlib.Path)
    words.add_argument("--share", type=float, default=0.5, help="of the other")
    words.add_argument("--coarse", action="store_true", help="for a small bundle")
    given = words.parse_args()
    speller = Speller()
    one, other = (Reader(speller.ids, samples.CLASSES).gemma for _ in range(2))
    read(one, given.one)
    read(other, given.other)
    with torch.no_grad():
        for mine, its in zip(one.parameters(), other.parameters()):
            mine.lerp_(its, given.share)
    if given.coarse:
        Grid(one).put()
    given.out.mkdir(parents=True, exist_ok=True)
    write(one, speller, given.out)


if __name__ == "__main__":
    main()
