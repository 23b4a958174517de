"""All contestants in turn, on the same weights and this machine: raw numbers to OUT/peers.json, a table to BENCHMARKS.md.

Each contestant runs in a process of its own and writes its measurements as JSON lines. All come in turn, round by round;
of each measure the median over the rounds counts. lapidary comes first, for its answers end where the grammar lets them:
the peers' answers get as many tokens as its answers had. One that fails is named in the table with the last line of what
it said. `cargo xtask bench-peers` calls this.
"""
import argparse
import dataclasses
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

import models
import shape
from workload import Work

HERE = pathlib.Path(__file__).resolve().parent
BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"

QUICK = {"units": 8, "answer": 40, "allowance": 160, "prompt": 128, "steps": 16, "repeats": 1}

CONTESTANTS = {
    "lapidary int8": ("int8", None),
    "lapidary int4": ("int4", None),
    "llama.cpp Q8_0": ("q8_0.gguf", "llama_cpp_peer.py"),
    "llama.cpp Q4_0": ("q4_0.gguf", "llama_cpp_peer.py"),
    "onnxruntime-genai int4": ("int4-genai", "genai_peer.py"),
    "transformers bf16": ("checkpoint", "transformers_peer.py"),
}
"""Form of the weights, and the script that drives it; none for our own bench program."""

MEASURES = {
    "prefill": "prefill of {prompt}, tokens/s",
    "prefill_after_shared": "prefill of {own} after a kept {shared}, tokens/s",
    "decode": "decode alone, tokens/s",
    "decode_batch": "decode of {slots} together, tokens/s",
    "units_per_minute": "extraction, units/min",
    "answer_tokens": "tokens of an answer",
    "first_row": "seconds to the first row",
    "peak_bytes": "peak memory, GB",
}


PACKAGES = ("llama_cpp_python", "onnxruntime", "onnxruntime-genai", "torch", "transformers")
"""What the peers are made of; their versions stand under the table."""


def measure(command):
    """All values that a process says of each measure, or why it failed."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        lines = (ran.stderr or ran.stdout).strip().splitlines()
        return {"failed": lines[-1] if lines else f"exit status {ran.returncode}"}
    said = {}
    for line in ran.stdout.splitlines():
        if line.startswith('{"measure"'):
            one = json.loads(line)
            said.setdefault(one["measure"], []).append(one["value"])
    return said


def medians(found):
    """One value of each measure."""
    return {name: said if name == "failed" else statistics.median(said) for name, said in found.items()}


def contest(name, arguments, made, work_file):
    """All measurements of one contestant in one round."""
    form, script = CONTESTANTS[name]
    try:
        model = str(made.get(form))
    except SystemExit as error:
        return {"failed": str(error).strip().splitlines()[-1]}
    program = [sys.executable, str(HERE / script)] if script else [str(arguments.bench)]
    found = {"load": [os.getloadavg()[0]]}
    for what in ("rates", "extraction"):
        print(f"{name}: {what}", file=sys.stderr, flush=True)
        found |= measure([*program, "--model", model, "--work", str(work_file), "--what", what])
    return found


class Rounds:
    """What all contestants have said so far."""

    def __init__(self, arguments, made, work, schema):
        self.arguments, self.made, self.work, self.schema = arguments, made, work, schema
        self.said = {}

    def run(self, names):
        """Each once more."""
        for name in names:
            self.equal_answers(name)
            work_file = self.made.folder / "work.json"
            work_file.write_text(json.dumps(dataclasses.asdict(self.work) | {"schema": self.schema}))
            whole = self.said.setdefault(name, {})
            for measure_name, said in contest(name, self.arguments, self.made, work_file).items():
                whole[measure_name] = said if measure_name == "failed" else whole.get(measure_name, []) + said

    def equal_answers(self, name):
        """A peer's answers are as long as ours were on average."""
        ours = [length for other, found in self.said.items() if other.startswith("lapidary")
                for length in found.get("answer_tokens", [])]
        if ours and not name.startswith("lapidary"):
            self.work = dataclasses.replace(self.work, answer=round(statistics.mean(ours)))

    def results(self):
        """The medians of each contestant."""
        return {name: medians(found) for name, found in self.said.items()}


def limits(work, quick):
    """What the machine could do at best, and the bytes that a decoding step reads."""
    found = medians(measure([sys.executable, str(HERE / "limits.py"), "--threads", str(work.threads)]))
    return found | {"streamed_weights": shape.streamed(quick)}


def number(value, measure_name):
    if value is None:
        return ""
    return f"{value / 1e9:.1f}" if measure_name == "peak_bytes" else f"{value:.1f}"


def table(results, work):
    """Rows of measures, columns of contestants."""
    names = list(results)
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for key, title in MEASURES.items():
        cells = [number(results[name].get(key), key) for name in names]
        lines.append(f"| {title.format(**dataclasses.asdict(work))} | " + " | ".join(cells) + " |")
    return lines + [""] + [f"{name} could not be measured: {results[name]['failed']}" for name in names
                           if "failed" in results[name]]


def ratios(results):
    """Our best against the best peer, measure by measure."""
    ours = {name: found for name, found in results.items() if name.startswith("lapidary")}
    peers = {name: found for name, found in results.items() if name not in ours}
    lines = []
    for key in ("decode", "decode_batch", "prefill", "prefill_after_shared", "units_per_minute"):
        best = [max((found[key] for found in side.values() if key in found), default=None) for side in (ours, peers)]
        if all(best):
            lines.append(f"{key.replace('_', ' ')} {best[0] / best[1]:.2f}")
    return ["Best of ours over best of the peers: " + ", ".join(lines) + "."] if lines else []


def bounds(found, results):
    """How near decoding comes to what memory allows."""
    if "read" not in found:
        return [f"The limits of the machine could not be measured: {found.get('failed', 'nothing was said')}"]
    read = max(found["read"], found["read_one_thread"])
    lines = [f"The machine reads {read / 1e9:.1f} GB/s from memory and multiplies "
             f"{found['int8'] / 1e9:.0f} (u8 x s8), {found['f32'] / 1e9:.0f} (f32) billion times a second."]
    for name, bits in (("lapidary int8", 8), ("lapidary int4", 5)):
        if "decode" in results.get(name, {}):
            limit = read / (found["streamed_weights"] * bits / 8)
            lines.append(f"Reading the weights once a token allows {limit:.1f} tokens/s in {name.split()[-1]}; decode alone "
                         f"reaches {100 * results[name]['decode'] / limit:.0f} % of it.")
    return lines


def circumstances(rounds, said):
    """Versions, rounds, and how busy the machine was."""
    versions = [f"{package.replace('_', '-')} {version(package)}" for package in PACKAGES if version(package)]
    loads = [load for found in said.values() for load in found.get("load", [])]
    busy = f"; load when a contestant began {min(loads):.1f} to {max(loads):.1f}" if loads else ""
    return [f"Medians of {rounds} rounds{busy}. {', '.join(versions)}."]


def version(package):
    """None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def report(path, lines):
    """Puts the lines between the markers."""
    text = path.read_text()
    before, rest = text.split(BEGIN)
    path.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1])


def main():
    """Measures and reports."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--lapidary", required=True, type=pathlib.Path)
    parser.add_argument("--bench", required=True, type=pathlib.Path)
    parser.add_argument("--only", help="names of contestants, separated by commas")
    parser.add_argument("--rounds", type=int, default=2, help="how often each contestant is measured")
    parser.add_argument("--quick", action="store_true", help="a model of four layers and little work: tries the chain")
    arguments = parser.parse_args()
    work = Work(**QUICK) if arguments.quick else Work()
    chosen = arguments.only.split(",") if arguments.only else list(CONTESTANTS)
    unknown = [name for name in chosen if name not in CONTESTANTS]
    if unknown:
        raise SystemExit(f"--only: there is no `{unknown[0]}`; there are {', '.join(CONTESTANTS)}")
    made = models.Models(arguments.out, arguments.lapidary, arguments.quick)
    made.folder.mkdir(parents=True, exist_ok=True)
    rounds = Rounds(arguments, made, work, json.loads((HERE / "invoice.json").read_text()))
    found = limits(work, arguments.quick)
    for _ in range(arguments.rounds):
        rounds.run(chosen)
    results = rounds.results()
    stamp = {"date": datetime.date.today().isoformat(), "machine": platform.processor() or platform.machine(),
             "cores": os.cpu_count(), "work": dataclasses.asdict(rounds.work), "limits": found, "said": rounds.said}
    (made.folder / "peers.json").write_text(json.dumps(stamp, indent=2) + "\n")
    lines = ["", *table(results, work), *ratios(results), *bounds(found, results),
             *circumstances(arguments.rounds, rounds.said), ""]
    print("\n".join(lines))
    if not arguments.quick:
        report(shape.ROOT / "BENCHMARKS.md", lines)


if __name__ == "__main__":
    main()
