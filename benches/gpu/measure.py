"""Everything that is measured on a card, in the order in which it is of use, each part bounded in time. What comes
of it goes to a file line by line; a table of it stands at the end.

    python3 benches/gpu/measure.py --lapidary PROGRAM --bench PROGRAM --out RESULTS.jsonl [--work FOLDER] [--minutes 25]
        [--only PART,...] [--skip PART,...] [--device cuda|cpu] [--ordinal 0] [--small]

`cargo xtask bench-gpu` builds both programs and calls this. Nothing but Python's own library is needed; with PyTorch
and transformers beside it there is something to compare with. `--small` tries the chain with hardly any model, also
on the processor.
"""
import argparse
import dataclasses
import os
import pathlib
import platform
import shutil
import signal
import sys
import time

import card
import parts
import results
import table
from made import Made, Unmade


class Session:
    """What all parts need: where things are, how much time is left, and where results go."""

    def __init__(self, options):
        self.options = options
        self.sizes = parts.SMALL if options.small else parts.FULL
        self.results = results.Results(options.out)
        self.made = Made(options.work, options.lapidary, options.small)
        self.end = time.monotonic() + 60 * options.minutes
        self.part_end = self.end
        self.watch = card.Watch(options.ordinal, options.device != "cpu")
        self.part = ""
        chosen = {"CUDA_VISIBLE_DEVICES": str(options.ordinal), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        self.environment = {"PYTHONUNBUFFERED": "1"} | (chosen if options.device != "cpu" else {})

    @property
    def answers(self):
        """Tokens of our own answers so far, for others to answer with as many; 100 where nothing is known."""
        known = {"units": 100, "pages": 100}
        for line in results.read(self.options.out):
            if line.get("who") == "lapidary" and line.get("measure") in known and line.get("answer"):
                known[line["measure"]] = max(2, round(line["answer"]))
        return known

    def left(self):
        """Seconds that this part may still take."""
        return min(self.end, self.part_end) - time.monotonic()

    def enter(self, name, seconds):
        self.part, self.part_end = name, time.monotonic() + seconds

    def say(self, **fields):
        return self.results.add(self.part, **fields)

    def follow(self, command, tags, seen=None):
        """Runs a command as long as there is time; each of its lines becomes a result under these tags. True if it
        came to its end."""
        if self.left() < 5:
            self.say(**tags, skipped="no time is left for this")
            return False

        def heard(line):
            busy = self.watch.between(line.get("began", 0), line.get("ended", 0))
            fields = tags | line | ({"card": busy} if busy else {})
            self.say(**(seen(fields) if seen else fields))

        failed = results.follow([str(word) for word in command], self.left(), heard, self.environment)
        if failed:
            self.say(**tags, failed=failed)
        return not failed

    def bench(self, what, model, tags, seen=None, **options):
        """Our own program at work on a model; options are written as they are on the command line, `_` for `-`."""
        device = self.options.device
        words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", spelled(value))]
        command = [self.options.bench, "--what", what, "--model", model, "--device", device, *words]
        return self.follow(command, {"who": "lapidary", "device": device} | tags, seen)


def spelled(value):
    """As the command line takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def run(session, names):
    """The parts in order; what goes wrong in one is told and leaves the others alone."""
    for name in names:
        work, seconds = parts.PARTS[name]
        session.enter(name, seconds)
        if session.left() < 10:
            session.say(skipped="no time is left")
            continue
        began = time.monotonic()
        try:
            work(session)
        except Unmade as error:
            session.say(failed=str(error))
        except (OSError, KeyError, ValueError) as error:
            session.say(failed=f"{type(error).__name__}: {error}")
        session.say(measure="seconds", value=time.monotonic() - began)


def chosen(options):
    """The parts that are wanted."""
    known = list(parts.PARTS)
    only, skip = (words.split(",") if words else [] for words in (options.only, options.skip))
    unknown = [name for name in [*only, *skip] if name not in known]
    if unknown:
        sys.exit(f"measure.py: there is no part `{unknown[0]}`; there are {', '.join(known)}")
    return [name for name in known if (not only or name in only) and name not in skip]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lapidary", required=True, type=pathlib.Path, help="the release build of the program")
    parser.add_argument("--bench", required=True, type=pathlib.Path, help="the release build of the bench `gpu`")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="results are added to this file")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("target/gpu"),
                        help="models are made here: 25 GB, with 31B 45 GB")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--ordinal", type=int, default=0, help="which card, as nvidia-smi counts them")
    parser.add_argument("--minutes", type=float, default=25.0, help="for all parts together")
    parser.add_argument("--only", help=f"of {', '.join(parts.PARTS)}")
    parser.add_argument("--skip")
    parser.add_argument("--small", action="store_true", help="tries the chain: a model of a few layers, little work")
    parser.add_argument("--python", default=sys.executable, help="an interpreter with PyTorch and transformers")
    parser.add_argument("--bandwidth", type=float, help="TB/s that the card's memory gives, where its name tells nothing")
    options = parser.parse_args()
    for program in ("lapidary", "bench"):
        path = getattr(options, program)
        if not (path.is_file() and os.access(path, os.X_OK)):
            sys.exit(f"measure.py: `{path}` is no program: `cargo xtask bench-gpu` builds it; see benches/gpu/README.md")
        setattr(options, program, path.resolve())
    options.out, options.work = options.out.resolve(), options.work.resolve()
    return options


def main():
    options = arguments()
    names = chosen(options)
    # Whoever ends us ends what runs on the card, which is in a group of its own and would go on.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    session = Session(options)
    session.part = "begin"
    session.say(device=options.device, small=options.small, parts=names, minutes=options.minutes,
                machine=platform.processor() or platform.machine(), cores=os.cpu_count(), system=platform.platform(),
                python=platform.python_version(), free_gb=round(shutil.disk_usage(options.work).free / 1e9, 1),
                sizes=dataclasses.asdict(session.sizes))
    try:
        run(session, names)
    finally:
        session.watch.close()
        print(table.of(results.read(options.out)))


if __name__ == "__main__":
    main()
