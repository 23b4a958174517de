"""Our encoding against transformers' processors, on one thread, on the same inputs, in one run.

python benches/peers/encode.py [--profile PROFILE]   needs what onnx/reference/requirements.txt names, pillow, and cargo.

Pictures: Gemma4ImageProcessorPil at budget 1120 on fixtures/reference/page.png, decoded beforehand on both sides.
Sound: Gemma4AudioFeatureExtractor on 1, 10 and 30 seconds. Ours is timed before and after theirs by
`cargo bench --bench encode`; the better median of both is compared with the better median of theirs.
"""
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import time

ONE_THREAD = {name: "1" for name in (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS")}
os.environ.update(ONE_THREAD)  # before numpy is loaded

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from transformers.models.gemma4.feature_extraction_gemma4 import Gemma4AudioFeatureExtractor  # noqa: E402
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures" / "reference"
MILLISECONDS = {"ns": 1e-6, "µs": 1e-3, "ms": 1.0, "s": 1e3}
GOALS = {"picture 1120": 3.0, "sound 1": 5.0, "sound 10": 5.0, "sound 30": 5.0}


def median_ms(work, repeats=15):
    """The better of two medians, in milliseconds."""
    work()

    def median():
        times = []
        for _ in range(repeats):
            begun = time.perf_counter()
            work()
            times.append(1e3 * (time.perf_counter() - begun))
        return statistics.median(times)

    return min(median(), median())


def theirs():
    """transformers' medians by name."""
    picture = Image.open(FIXTURES / "page.png").convert("RGB")
    picture.load()
    processor = Gemma4ImageProcessorPil(max_soft_tokens=1120)
    extractor = Gemma4AudioFeatureExtractor()
    second = np.load(FIXTURES / "audio_sine440_1s.npz")["waveform"]
    found = {"picture 1120": median_ms(lambda: processor(images=[picture], return_tensors="np"))}
    for seconds in (1, 10, 30):
        samples = np.tile(second, seconds)
        found[f"sound {seconds}"] = median_ms(lambda: extractor([samples], return_tensors="np"))
    return found


def ours(profile):
    """Our medians by name, from divan's table: fastest, slowest, median, mean."""
    command = ["cargo", "bench", "--bench", "encode", "--profile", profile]
    table = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found, group = {}, ""
    for line in table.splitlines():
        name = re.match(r"[│├╰─ ]*(\S+)", line)
        times = re.findall(r"([\d.]+) (ns|µs|ms|s)\b", line)
        if name and not times:
            group = name[1]
        elif name:
            found[f"{group} {name[1]}"] = float(times[2][0]) * MILLISECONDS[times[2][1]]
    return found


def main():
    """Prints a table with the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="bench")
    profile = parser.parse_args().profile
    before, peer, after = ours(profile), theirs(), ours(profile)
    print(f"{'one thread':<14}{'lapidary ms':>12}{'transformers ms':>17}{'ratio':>8}{'goal':>6}")
    for name, goal in GOALS.items():
        own = min(before[name], after[name])
        print(f"{name:<14}{own:>12.2f}{peer[name]:>17.2f}{peer[name] / own:>8.1f}{goal:>6.0f}")


if __name__ == "__main__":
    main()
