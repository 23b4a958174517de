"""What the shape of a run costs in the vision encoder of a bundle: one picture or several a run, and pictures that are
padded so that they can go together.

    python benches/encoder_shapes.py BUNDLE [THREADS]

Needs onnxruntime and numpy. Prints milliseconds per picture, best of the rounds, all shapes taking turns, and the ratio
to one picture a run without padding; then how many patches pages and photographs of common sizes have.
"""

import math
import sys
import time
from pathlib import Path

import numpy
import onnxruntime

ROUNDS = 3
BUDGETS = (70, 280)
# (pictures a run, share of the patches that are padding)
RUNS = ((1, 0.0), (2, 0.0), (4, 0.0), (1, 0.05), (2, 0.05), (1, 0.15))
SIZES = {
    "A4": (1654, 2339),
    "A4 landscape": (2339, 1654),
    "letter": (1700, 2200),
    "letter landscape": (2200, 1700),
    "legal": (1700, 2800),
    "A5": (1165, 1654),
    "photograph 4:3": (4032, 3024),
    "photograph 3:4": (3024, 4032),
    "photograph 3:2": (6000, 4000),
    "photograph 16:9": (3840, 2160),
    "screen 19.5:9": (1170, 2532),
    "square": (2048, 2048),
    "till receipt": (800, 2600),
}


def grid(width, height, budget):
    """Columns and rows of soft tokens; as `Grid::fit`."""
    factor = math.sqrt(budget * 48 * 48 / (width * height))
    return math.floor(factor * width / 48), math.floor(factor * height / 48)


def picture(columns, rows, padding):
    """Patches and positions of one picture, with padding at the end."""
    across, down = 3 * columns, 3 * rows
    places = [(x, y) for y in range(down) for x in range(across)]
    extra = 9 * round(padding * columns * rows)
    pixels = numpy.random.default_rng(0).random((len(places) + extra, 768), dtype=numpy.float32)
    return pixels, numpy.array(places + [(-1, -1)] * extra, dtype=numpy.int64)


def feeds(budget, count, padding):
    pixels, places = picture(*grid(1654, 2339, budget), padding)
    return {"pixel_values": numpy.stack([pixels] * count), "pixel_position_ids": numpy.stack([places] * count)}


def measure(session, budget):
    inputs = {run: feeds(budget, *run) for run in RUNS}
    best = {run: math.inf for run in RUNS}
    for _ in range(ROUNDS):
        for run in RUNS:
            start = time.perf_counter()
            session.run(None, inputs[run])
            best[run] = min(best[run], (time.perf_counter() - start) / run[0])
    alone = best[RUNS[0]]
    for (count, padding), seconds in best.items():
        print(f"budget {budget}, {count} a run, {padding:4.0%} padding: {1e3 * seconds:8.1f} ms, {seconds / alone:.2f}")


def main():
    bundle, threads = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(bundle / "onnx" / "vision_encoder.onnx", options, ["CPUExecutionProvider"])
    for budget in BUDGETS:
        measure(session, budget)
    for name, size in SIZES.items():
        tokens = [math.prod(grid(*size, budget)) for budget in (70, 140, 280, 560, 1120)]
        print(f"{name}: soft tokens at 70, 140, 280, 560, 1120: {tokens}")


main()
