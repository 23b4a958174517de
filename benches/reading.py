"""What a model of the demo's kind reads: python benches/reading.py LAPIDARY CHECKPOINT

Exports CHECKPOINT (what onnx/demo/train/train.py leaves) in each precision, has `lapidary run` read the held-out sets of
fixtures/demo with the prompts and schemas of pipelines/demo-*.toml, without their ladders, and prints as tables of Markdown
what `lapidary score` says of it: by precision, by soft tokens of a page, by confidence; and what guessing spares."""
import argparse
import json
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
SETS = ("receipts", "invoices", "texts")
PRECISIONS = ("f32", "cpu-int8", "cpu-int4")
SHIPPED = "cpu-int4"
BUDGETS = (70, 140, 280, 560)
LARGEST, FEW = 1120, "receipt-[01]*"    # a page of this size takes seconds: not all of them
FORMS = (("typeset (with a text layer)", "typeset"), ("photographs", "photo"), ("scans", "scan"))


class Bench:
    """The program, and a folder for what it makes."""

    def __init__(self, lapidary, folder):
        self.lapidary, self.folder, self.count = lapidary, folder, 0

    def run(self, *words):
        """What the program prints; a failure ends the bench with what it said."""
        done = subprocess.run([self.lapidary, *map(str, words)], capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr}")
        return done.stdout

    def export(self, checkpoint, precision):
        """A bundle in this precision."""
        bundle = self.folder / precision
        self.run("model", "export", checkpoint, bundle, "--recipe", precision)
        return bundle

    def read(self, bundle, own, names="*", budget=None, drafts=True):
        """What is right of a set, and how the run went; `names` is a pattern of files."""
        self.count += 1
        output = self.folder / f"read-{self.count}"
        inputs = f"fixtures/demo/{own}/{names}"
        more = ["--budget", budget] if budget else []
        self.run("run", self.pipeline(own, drafts), inputs, "--output", output, "--model", bundle, "--device", "cpu", *more)
        score = json.loads(self.run("score", output, self.truth(own, names), "--json"))
        return score, json.loads((output / "run.json").read_text())

    def pipeline(self, own, drafts):
        """A pipeline of the demo without its ladder."""
        text = (ROOT / "pipelines" / f"demo-{own}.toml").read_text().split("[ladder]")[0].replace('"../', f'"{ROOT}/')
        path = self.folder / f"{own}-{drafts}.toml"
        path.write_text(text.replace("[generate]\n", f"[generate]\ndrafts = {str(drafts).lower()}\n"))
        return path

    def truth(self, own, names):
        """What is there, of the files of this pattern."""
        wanted = {path.name for path in (ROOT / "fixtures" / "demo" / own).glob(names)}
        lines = (ROOT / "fixtures" / "demo" / f"{own}.jsonl").read_text().splitlines()
        path = self.folder / f"{own}.jsonl"
        path.write_text("".join(f"{line}\n" for line in lines if pathlib.Path(json.loads(line)["file"]).name in wanted))
        return path


def wrong(score, field=0):
    """The share of characters that are wrong, in percent."""
    return f"{score['fields'][field]['character_error_rate'] * 100:.1f} %"


def row(*cells):
    """A row of a table."""
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def head(*cells):
    """The first rows of a table."""
    print()
    row(*cells)
    print("|" + "---|" * len(cells))


def by_precision(bench, bundles):
    """All sets in each precision; gives what was read by the shipped one."""
    head("how", "receipts: values of 300", "whole of 60", "invoices: values of 150", "whole of 30", "texts: characters wrong", "whole of 24")
    shipped = {}
    for precision, bundle in bundles.items():
        scores = {own: bench.read(bundle, own)[0] for own in SETS}
        shipped = scores if precision == SHIPPED else shipped
        counts = [scores[own][key] for own in SETS[:2] for key in ("right", "whole")]
        row(precision, *counts, wrong(scores["texts"]), scores["texts"]["whole"])
    return shipped


def by_field(shipped):
    """Each field of receipts and invoices: how many are right, and their wrong characters."""
    head("field", "receipts", "characters wrong", "invoices", "characters wrong")
    for place, field in enumerate(shipped["receipts"]["fields"]):
        cells = []
        for own in SETS[:2]:
            one = shipped[own]["fields"][place]
            cells += [f"{one['right']} of {one['values']}", "" if one["character_error_rate"] is None else wrong(shipped[own], place)]
        row(field["field"], *cells)


def by_budget(bench, bundle):
    """All sets at each size of a page."""
    head("budget", "receipts: values", "merchants, characters wrong", "invoices: values", "texts: characters wrong")
    for budget in BUDGETS:
        scores = {own: bench.read(bundle, own, budget=budget)[0] for own in SETS}
        row(budget, scores["receipts"]["right"], wrong(scores["receipts"]), scores["invoices"]["right"], wrong(scores["texts"]))
    score, _ = bench.read(bundle, "receipts", FEW, LARGEST)
    print(f"\nAt {LARGEST}: {score['right']} of {score['values']} values of the first {score['records']} receipts.")


def by_form(bench, bundle):
    """What is right of each form of document."""
    head("form", *SETS)
    for form, name in FORMS:
        scores = {own: bench.read(bundle, own, f"*-{name}.*")[0] for own in SETS}
        values = [f"{scores[own]['right']} of {scores[own]['values']}" for own in SETS[:2]]
        row(form, *values, f"{wrong(scores['texts'])} wrong")


def by_confidence(shipped):
    """How often values are right by how sure the model is."""
    steps = shipped["receipts"]["confidence"]
    head("confidence from", *(f"{step['from']:.4g}" for step in steps))
    for own in SETS[:2]:
        bins = shipped[own]["confidence"]
        row(f"{own}: values", *(one["values"] for one in bins))
        row("right", *(f"{one['right'] / one['values']:.0%}" if one["values"] else "" for one in bins))


def by_guesses(bench, bundle):
    """Steps with guesses and without, and that answers do not change."""
    head("", "tokens", "steps without", "steps with", "guessed", "right")
    for own in SETS:
        for form, name in FORMS:
            (plain, before), (drafted, after) = (bench.read(bundle, own, f"*-{name}.*", drafts=drafts) for drafts in (False, True))
            if plain["fields"] != drafted["fields"]:
                raise SystemExit(f"{own}, {form}: guesses change answers")
            engine = after["engine"]
            row(f"{own}, {form}", after["totals"]["new_tokens"], before["engine"]["steps"], engine["steps"],
                engine["drafted_tokens"], engine["accepted_tokens"])


def main():
    """All tables."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("lapidary", type=pathlib.Path)
    words.add_argument("checkpoint", type=pathlib.Path)
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(given.lapidary.resolve(), pathlib.Path(folder))
        bundles = {precision: bench.export(given.checkpoint.resolve(), precision) for precision in PRECISIONS}
        shipped = by_precision(bench, bundles)
        by_field(shipped)
        by_form(bench, bundles[SHIPPED])
        by_budget(bench, bundles[SHIPPED])
        by_confidence(shipped)
        by_guesses(bench, bundles[SHIPPED])


if __name__ == "__main__":
    main()
