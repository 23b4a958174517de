"""The parts of the measurement, in their order. Each is given the session and says what it finds."""
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import tomllib

import archive
import card
import shapes
from made import ROOT, Unmade

HERE = pathlib.Path(__file__).resolve().parent
SCHEMA = ROOT / "benches" / "peers" / "engines" / "invoice.json"
FORMS = ("cuda-f16", "cuda-int4")


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    slots: tuple = (1, 8, 32, 128)
    lengths: tuple = (128, 512, 2048, 8192)
    chunk: int = 1024
    short: int = 32
    behind: tuple = ((1, 4096), (32, 2048))
    """Slots, and tokens before decoding begins: what keys and values cost."""
    steps: int = 64
    repeats: int = 3
    budgets: tuple = (70, 140, 280, 560, 1120)
    count: int = 16
    units: int = 256
    seats: tuple = (32, 128)
    """Slots of the extraction."""
    shared: int = 400
    own: int = 296
    allowance: int = 156
    pages: tuple = (32, 288)
    """Pages of a short run and of a long one: the rate comes of their difference, so that opening the model drops
    out."""
    page_budget: int = 280
    big: str = "gemma-4-31b"
    big_slots: tuple = (1, 8, 32)


FULL = Sizes()
SMALL = Sizes(slots=(1, 2), lengths=(16, 64), chunk=64, short=8, behind=((1, 64),), steps=4, repeats=2,
              budgets=(70, 140), count=2, units=4, seats=(2,), shared=40, own=30, pages=(2, 5), page_budget=70,
              big_slots=(1, 2))

TOLERANCE = 0.02
"""Largest norm of a difference over the norm of the logits. Rounding to 16 bits makes 0.002 to 0.008 of it in these
models on the processor; a mistake in a graph or a kernel 0.2 and more."""

WITH_EXPERTS = 0.12
"""The same with experts: two that are nearly as good may change places, which makes 0.003 to 0.080 on the processor."""


def facts(session):
    """The card, the driver, the libraries, and what the program itself says of them."""
    options = session.options
    if options.device != "cpu":
        found = card.facts(options.ordinal)
        session.say(**(found or {"failed": "nvidia-smi tells of no card"}), cuda=card.cuda())
    # It ends with 1 where something is missing, which is worth knowing.
    doctor = said([options.lapidary, "doctor", "--device", options.device], (0, 1))
    session.say(version=(said([options.lapidary, "--version"]) or "").strip(), onnxruntime=runtime(doctor),
                libraries=libraries(), doctor=(doctor or "").splitlines())
    code = "import torch, transformers; print(torch.__version__, transformers.__version__, torch.cuda.is_available())"
    versions = (said([options.python, "-c", code]) or "").split()
    session.say(**(dict(zip(("torch", "transformers", "torch_sees_a_card"), versions))
                   or {"skipped": "PyTorch and transformers cannot be imported"}))


def said(command, well=(0,)):
    """All that a command says, or None where it ends otherwise than well."""
    try:
        ran = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout + ran.stderr if ran.returncode in well else None


def runtime(doctor):
    found = re.search(r"ONNX Runtime: (.*)", doctor or "")
    return found.group(1) if found else None


def libraries():
    """Which packages the native libraries came in, if there is a note of it."""
    folder = os.environ.get("LAPIDARY_NATIVE") or pathlib.Path.home() / ".local" / "share" / "lapidary" / "native"
    installed, origin = (pathlib.Path(folder) / name for name in ("installed.json", "origin.json"))
    if installed.exists():
        return {package: entry["version"] for package, entry in json.loads(installed.read_text()).items()}
    return json.loads(origin.read_text()) if origin.exists() else None


def exact(session):
    """Logits on the device against those on the processor, before anything is measured."""
    family = ROOT / "fixtures" / "family"
    committed = {"tiny": ROOT / "onnx" / "reference" / "tiny"} | {
        f"family-{name}": family / name for name in ("e2b", "e4b", "31b", "26b-a4b")}
    covers = {"tiny": "the committed tiny model", "family-e2b": "E2B in small", "family-e4b": "E4B in small",
              "family-31b": "31B in small: pictures seen in both directions",
              "family-26b-a4b": "26B-A4B in small: experts"}
    made, left = session.made, session.left
    for name, shape in shapes.WIDE.items():
        compare(session, name, shape["covers"], lambda recipe, name=name: made.wide(name, recipe, left()))
    for name, checkpoint in committed.items():
        compare(session, name, covers[name],
                lambda recipe, name=name, checkpoint=checkpoint: made.exported(name, checkpoint, recipe, left()))


def compare(session, name, covers, make):
    """f16 against f32 of the same weights, 4 bits against the same bundle, both on the processor."""
    tolerance = WITH_EXPERTS if "moe" in name or "a4b" in name else TOLERANCE

    def judged(fields):
        if fields.get("measure") != "difference" or fields["on"] != session.options.device:
            return fields
        return fields | {"exact": fields["value"] is not None and fields["value"] <= tolerance}

    for recipe in FORMS:
        tags = {"model": name, "recipe": recipe, "covers": covers, "tolerance": tolerance}
        try:
            beside = {} if "int4" in recipe else {"reference": make("f32")}
            session.bench("exact", make(recipe), tags, judged, **beside)
        except Unmade as error:
            session.say(**tags, failed=str(error))


def models(session):
    """All forms of E2B side by side, so that no other part waits for them: on many cores that takes as long as the
    largest."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        making = {recipe: pool.submit(session.made.full, "gemma-4-e2b", recipe, session.left())
                  for recipe in (*FORMS, None)}
        for recipe, made in making.items():
            tags = {"model": "gemma-4-e2b", "recipe": recipe or "bf16"}
            try:
                files = [path.stat().st_size for path in made.result().rglob("*") if path.is_file()]
                session.say(**tags, measure="bytes", value=sum(files))
            except Unmade as error:
                session.say(**tags, failed=str(error))


def rates(session):
    """Prompts and decoding of E2B."""
    for recipe in FORMS:
        model = session.made.full("gemma-4-e2b", recipe, session.left())
        tags = {"model": "gemma-4-e2b", "recipe": recipe}
        weigh(session, model, tags)
        decode(session, model, tags, session.sizes.slots)
        behind(session, model, tags)


def weigh(session, model, tags):
    """What one decoding step reads at least, and what the card's memory allows."""
    name = card.facts(session.options.ordinal).get("name") if session.options.device != "cpu" else None
    reads = 1e12 * session.options.bandwidth if session.options.bandwidth else card.READS.get(name)
    weights = streamed(tomllib.loads((model / "bundle.toml").read_text()))
    session.say(**tags, measure="weights", value=weights, reads=reads)


def decode(session, model, tags, slots):
    """Prompts are measured with one slot, decoding with each number of them."""
    sizes = session.sizes
    for count in slots:
        session.bench("rates", model, tags, slots=count, lengths=sizes.lengths if count == 1 else (), short=sizes.short,
                      steps=sizes.steps, repeats=sizes.repeats, chunk=sizes.chunk)


def behind(session, model, tags):
    """Decoding behind long prompts."""
    sizes = session.sizes
    for slots, tokens in sizes.behind:
        session.bench("rates", model, tags, slots=slots, short=tokens, steps=sizes.steps, repeats=sizes.repeats,
                      chunk=sizes.chunk)


def streamed(bundle):
    """Bytes of weights that one decoding step reads, whatever the number of rows, by the sizes that `bundle.toml`
    tells: all that the decoder's graph brings but its tables of rotary angles, and the head where it lies with the
    embeddings. Of tables of embeddings a step reads one row for each token. With experts this is more than a step
    reads."""
    text, parts = bundle["text"], bundle["precision"].get("parts", {})
    element = 2 if bundle["precision"]["dtype"] == "f16" else 4
    decoder = bundle["files"][bundle["graphs"]["decoder"] + "_data"]["bytes"]
    widths = {layer["sliding"]: layer["head_dim"] for layer in text["kv"]}
    rotary = sum(text["max_positions"] * width * element for width in widths.values())
    head = parts.get("head", bundle["precision"]["quantize"])
    lent = head == parts.get("embedding", head)
    bits = {"f32": 32, "f16": 16, "int8": 8, "int4": 4 + 8 * element / 32}.get(head, 16)
    return decoder - rotary + (text["vocab_size"] * text["hidden_size"] * bits / 8 if lent else 0)


def vision(session):
    """Pictures a second; the encoders are f16 in both forms."""
    model = session.made.full("gemma-4-e2b", "cuda-int4", session.left())
    tags = {"model": "gemma-4-e2b", "recipe": "cuda-int4"}
    for together in (False, True):
        session.bench("pictures", model, tags, budgets=session.sizes.budgets, count=session.sizes.count,
                      together=together)


def extraction(session):
    """Units of tokens under a grammar, and whole pages from PDF to Parquet."""
    sizes = session.sizes
    for recipe in reversed(FORMS):
        model = session.made.full("gemma-4-e2b", recipe, session.left())
        tags = {"model": "gemma-4-e2b", "recipe": recipe}
        for seats in sizes.seats:
            pages(session, model, tags, seats)
        for seats in sizes.seats:
            session.bench("extraction", model, tags, slots=seats, units=sizes.units, shared=sizes.shared, own=sizes.own,
                          allowance=sizes.allowance, schema=SCHEMA, chunk=sizes.chunk)


def pages(session, model, tags, seats):
    """`lapidary run` over few pages and over many."""
    sizes = session.sizes
    tags = {"who": "lapidary", "device": session.options.device} | tags | {"slots": seats, "budget": sizes.page_budget}
    folder = session.made.folder / "pages"
    pipeline = session.made.folder / f"pages-{seats}.toml"
    pipeline.write_text(archive.PIPELINE.format(budget=sizes.page_budget, allowance=sizes.allowance, slots=seats,
                                                context=2048, chunk=sizes.chunk, schema=SCHEMA))
    ran = []
    for count in sizes.pages:
        inputs = archive.pages(folder / str(count), count)
        output = folder / "out"
        shutil.rmtree(output, ignore_errors=True)
        command = [session.options.lapidary, "-q", "run", pipeline, inputs, "--model", model, "--output", output,
                   "--device", session.options.device]
        if not session.follow(command, tags):
            return
        report = json.loads((output / "run.json").read_text())
        ran.append((count, report))
        told(session, tags, count, report)
    (few, short), (many, long) = ran
    longer = long["seconds"] - short["seconds"]
    # A difference that is small beside the whole is chance.
    rate = (many - few) / longer if longer > 0.1 * long["seconds"] else None
    session.say(**tags, measure="pages", value=rate, pages=many - few, answer=answer(long))


def told(session, tags, count, report):
    """One run, as its report has it. The card is looked at over its last two thirds: before that the model is
    opened."""
    ended = time.time()
    busy = session.watch.between(ended - report["seconds"] * 2 / 3, ended)
    engines = report.get("engines") or [report["engine"]]
    session.say(**tags, measure="pages_run", value=count / report["seconds"], pages=count, answer=answer(report),
                seconds=report["seconds"], decoder_share=[one.get("busy_share") for one in engines],
                encoder_share=[one.get("encoder_share") for one in engines], **({"card": busy} if busy else {}))


def answer(report):
    """Tokens of an answer."""
    return report["totals"]["new_tokens"] / max(report["totals"]["answered"], 1)


def transformers(session):
    """The same work by transformers on the same card."""
    versions = said([session.options.python, "-c", "import torch, transformers"])
    if versions is None:
        session.say(skipped="PyTorch and transformers cannot be imported")
        return
    model = session.made.full("gemma-4-e2b", None, session.left())
    sizes, lengths = session.sizes, session.answers
    work = {
        "rates": {"slots": sizes.slots, "lengths": sizes.lengths, "short": sizes.short, "steps": sizes.steps,
                  "repeats": sizes.repeats},
        "extraction": {"slots": sizes.seats[:1], "units": sizes.units, "shared": sizes.shared, "own": sizes.own,
                       "answer": lengths["units"]},
        "pages": {"slots": sizes.seats[:1], "units": sizes.pages[1], "shared": sizes.shared,
                  "budgets": (sizes.page_budget,), "answer": lengths["pages"]},
        "pictures": {"budgets": sizes.budgets, "count": sizes.count},
    }
    device = "cpu" if session.options.device == "cpu" else "cuda"
    for what, options in work.items():
        words = [word for name, value in options.items() for word in (f"--{name}", listed(value))]
        command = [session.options.python, HERE / "transformers_side.py", "--what", what, "--model", model]
        tags = {"who": "transformers", "device": device, "model": "gemma-4-e2b", "recipe": "bf16"}
        session.follow([*command, "--device", device, *words], tags)


def listed(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def big(session):
    """31B in 4 bits, while there is time and room."""
    sizes = session.sizes
    model = session.made.full(sizes.big, "cuda-int4", session.left())
    tags = {"model": sizes.big, "recipe": "cuda-int4"}
    weigh(session, model, tags)
    decode(session, model, tags, sizes.big_slots)


PARTS = {
    "facts": (facts, 120),
    "exact": (exact, 300),
    "models": (models, 240),
    "rates": (rates, 420),
    "vision": (vision, 180),
    "extraction": (extraction, 420),
    "transformers": (transformers, 360),
    "big": (big, 420),
}
"""Each part, and its most seconds."""
