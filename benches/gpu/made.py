"""What is measured: bundles and checkpoints, made by the program itself where they are needed, and kept for the next
time."""
import pathlib
import shutil
import subprocess
import threading

import shapes

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKED = ROOT / "fixtures" / "tokenizer" / "tokenizer.json.zst"


class Made:
    """The folder of all that is made."""

    def __init__(self, folder, lapidary, small):
        self.folder, self.lapidary, self.small = folder, lapidary, small
        self.unpacking = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def full(self, name, recipe, seconds):
        """A model of the catalogue with random weights, under the whole vocabulary; `recipe` None is a checkpoint in
        bf16."""
        source = shapes.write(self.folder / "shapes", "small") if self.small else name
        tokenizer = self.tokenizer()
        form = ["--as-checkpoint"] if recipe is None else ["--recipe", recipe]
        called = f"{'small' if self.small else name}-{recipe or 'checkpoint'}"
        return self.get(called, seconds, "model", "synthesize", source, None, *form, "--tokenizer", tokenizer)

    def wide(self, name, recipe, seconds):
        """One of the small shapes with heads of the real size."""
        source = shapes.write(self.folder / "shapes", name)
        return self.get(f"{name}-{recipe}", seconds, "model", "synthesize", source, None, "--recipe", recipe)

    def exported(self, name, checkpoint, recipe, seconds):
        """A bundle of a committed checkpoint; some of these have no tokenizer, which nothing here asks for."""
        copied = self.folder / "checkpoints" / name
        if not copied.exists():
            aside = self.folder / "checkpoints.part" / name
            shutil.rmtree(aside, ignore_errors=True)
            shutil.copytree(checkpoint, aside, ignore=shutil.ignore_patterns("vectors.npz"))
            if not (aside / "tokenizer.json").exists():
                (aside / "tokenizer.json").write_text("{}")
            copied.parent.mkdir(exist_ok=True)
            aside.rename(copied)
        return self.get(f"{name}-{recipe}", seconds, "model", "export", copied, None, "--recipe", recipe)

    def get(self, name, seconds, *arguments):
        """The path of what is made under that name; None among the arguments stands for where to make it."""
        path, aside = self.folder / name, self.folder / f"{name}.part"
        if path.exists():
            return path
        shutil.rmtree(aside, ignore_errors=True)
        command = [str(self.lapidary), "-q", *[str(aside if argument is None else argument) for argument in arguments]]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=max(seconds, 1))
        except subprocess.TimeoutExpired:
            raise Unmade(f"{name}: took more than {seconds:.0f} s") from None
        if ran.returncode:
            raise Unmade(f"{name}: {' | '.join(ran.stderr.strip().splitlines()[-3:])}")
        aside.rename(path)
        return path

    def tokenizer(self):
        """The whole vocabulary, unpacked."""
        with self.unpacking:
            path = self.folder / "tokenizer.json"
            if not path.exists():
                aside = path.with_suffix(".part")
                aside.write_bytes(unpack(PACKED))
                aside.rename(path)
            return path


class Unmade(Exception):
    """Something could not be made, and why."""


def unpack(path):
    """What a .zst holds, by whatever is here that can read it."""
    for way in (by_zstandard, by_pyarrow, by_program):
        try:
            return way(path)
        except (ImportError, OSError, subprocess.CalledProcessError):
            continue
    raise Unmade(f"{path.name} cannot be unpacked: install the program zstd, or the Python package zstandard or pyarrow")


def by_zstandard(path):
    import zstandard
    with path.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file).read()


def by_pyarrow(path):
    import pyarrow
    with pyarrow.input_stream(str(path), compression="zstd") as stream:
        return stream.read()


def by_program(path):
    return subprocess.run(["zstd", "-dc", str(path)], capture_output=True, check=True).stdout
