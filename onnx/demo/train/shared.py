"""What the demo takes from the makers of the other small checkpoints, which lie in onnx/reference."""
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "reference"))

from checkpoint import media_ids, save  # noqa: E402,F401
from vocabulary import generation, named, tokenizer_file  # noqa: E402,F401
