"""The work that all contestants do, in token ids, and the loop that measures a contestant from Python.

Raw rates: tokens per second of a prompt of 512, of 296 after a kept beginning of 400, of decoding one sequence, and of
decoding eight together. Extraction: all units begin with the same 400 tokens (the system turn with the schema), then
each has 296 of its own (266 places of a page's soft tokens, for which ordinary tokens stand in, and 30 of text), and
each is answered with 120 tokens. benches/peers.rs does the same with lapidary; both read one file of these numbers.
"""
import argparse
import dataclasses
import json
import pathlib
import time


@dataclasses.dataclass(frozen=True)
class Work:
    """How much of everything."""

    shared: int = 400
    own: int = 296
    answer: int = 120
    allowance: int = 156
    """Most new tokens of a guided answer: it is closed before they run out, so that on average `answer` are written."""
    units: int = 16
    slots: int = 8
    threads: int = 2
    prompt: int = 512
    """Tokens of the prompt whose prefill is measured."""
    short: int = 32
    """Tokens before decoding is measured."""
    steps: int = 64
    """Decoding steps of one measurement."""
    repeats: int = 2
    """Measurements of each raw rate in one process."""

    @property
    def context(self):
        """Positions that a sequence needs."""
        return max(self.shared + self.own + self.allowance, self.prompt + 2, self.short + self.steps + 2)


def ids(stream, count):
    """`count` ordinary token ids; streams differ from their first token on. benches/peers.rs makes the same."""
    return [1000 + (stream * 7919 + place * 104729 + place * place * 31) % 200003 for place in range(count)]


def say(measure, value):
    """One measurement as a line on standard output."""
    print(json.dumps({"measure": measure, "value": value}), flush=True)


def peak_bytes():
    """The most memory that this process had resident, mapped files included."""
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def timed(work):
    """What the work gives, and its seconds."""
    begun = time.perf_counter()
    given = work()
    return given, time.perf_counter() - begun


def rates(contestant, work):
    """Raw rates. The first pass of each kind is not counted: it allocates, and it maps the weights into memory."""
    for repeat in range(work.repeats + 1):
        report = say if repeat else lambda *_: None
        _, seconds = timed(lambda: contestant.prefill([ids(10 + repeat, work.prompt)]))
        report("prefill", work.prompt / seconds)
        contestant.learn(ids(1, work.shared))
        _, seconds = timed(lambda: contestant.prefill([ids(20 + repeat, work.own)], shared=True))
        report("prefill_after_shared", work.own / seconds)
        for name, rows in (("decode", 1), ("decode_batch", work.slots)):
            tokens = contestant.prefill([ids(30 + 50 * repeat + row, work.short) for row in range(rows)])
            _, seconds = timed(lambda: decode(contestant, tokens, work.steps))
            report(name, rows * work.steps / seconds)


def decode(contestant, tokens, steps):
    """Feeds each sequence its latest token, so many times."""
    for _ in range(steps):
        tokens = contestant.step(tokens)


def extraction(contestant, work):
    """All units, as many at once as there are slots. The kept beginning is made within the measured time."""
    begun, first = time.perf_counter(), None
    contestant.learn(ids(1, work.shared))
    for start in range(0, work.units, work.slots):
        units = range(start, min(start + work.slots, work.units))
        tokens = contestant.prefill([ids(1000 + unit, work.own) for unit in units], shared=True)
        decode(contestant, tokens, work.answer - 1)
        first = first or time.perf_counter() - begun
    say("units_per_minute", 60 * work.units / (time.perf_counter() - begun))
    say("first_row", first)
    say("answer_tokens", work.answer)
    say("peak_bytes", peak_bytes())


def main(contestant):
    """Measures what the command line asks for. `contestant(model, work)` opens the model and has three methods:
    `learn(tokens)` keeps a beginning; `prefill(prompts, shared=False)` starts one sequence for each prompt, behind the
    kept beginning if `shared`, and gives the next token of each; `step(tokens)` feeds these and gives the next."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--what", required=True, choices=("rates", "extraction"))
    arguments = parser.parse_args()
    stored = json.loads(arguments.work.read_text())
    work = Work(**{field.name: stored[field.name] for field in dataclasses.fields(Work)})
    opened = contestant(arguments.model, work)
    (rates if arguments.what == "rates" else extraction)(opened, work)
