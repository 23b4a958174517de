"""What is in a file of results, as tables: medians of what was measured several times, the latest session that
measured it.

    python3 benches/gpu/table.py RESULTS.jsonl [--into BENCHMARKS.md]

"""
import argparse
import pathlib
import statistics

import results

BEGIN, END = "<!-- gpu: begin -->", "<!-- gpu: end -->"

PUBLIC = (
    "ONNX Runtime, E2B alone on an H200: 158 tokens/s in f16, 177 in int4",
    "mistral.rs, E4B alone on an H100: 174 tokens/s",
    "a model of 1B for reading pages, on an H100: 5.7 pages/s",
)
"""Figures that others have published, of their own machines and models: not measured here."""

COLUMNS = (("lapidary f16", "lapidary", "cuda-f16"), ("lapidary int4", "lapidary", "cuda-int4"),
           ("transformers bf16", "transformers", "bf16"))


class Found:
    """All lines, told apart by what they measure."""

    def __init__(self, lines):
        self.lines, self.groups, session = lines, {}, 0
        for line in lines:
            session += line.get("part") == "begin"
            if "measure" in line:
                key = (line.get("who"), line.get("model"), line.get("recipe"), line["measure"])
                self.groups.setdefault(key, []).append((session, line))

    def of(self, who, model, recipe, measure, **facts):
        """The lines of the latest session that has such a measurement."""
        rows = [(session, line) for session, line in self.groups.get((who, model, recipe, measure), [])
                if all(line.get(name) == value for name, value in facts.items())]
        latest = max((session for session, _ in rows), default=None)
        return [line for session, line in rows if session == latest]

    def median(self, *key, **facts):
        values = [line["value"] for line in self.of(*key, **facts) if line["value"] is not None]
        return statistics.median(values) if values else None

    def values(self, measure, name, model):
        """Which values of a fact there are."""
        rows = (line for key, group in self.groups.items() if key[1] == model and key[3] == measure for _, line in group)
        return sorted({line[name] for line in rows if name in line})

    def busy(self, *key, **facts):
        """The card's busy share meanwhile, as a note."""
        shares = [line["card"]["busy"] for line in self.of(*key, **facts) if line.get("card")]
        return f" ({100 * statistics.mean(shares):.0f} %)" if shares else ""


def of(lines):
    """All tables, as one text."""
    found = Found(lines)
    blocks = [circumstances(lines), exactness(lines), rates(found, "gemma-4-e2b"), prompts(found, "gemma-4-e2b"),
              steps(found, "gemma-4-e2b"), pictures(found), work(found), large(found), public(), failures(lines)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def cell(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def grid(head, rows):
    """A table, without the rows that have nothing but their name, and empty where none is left."""
    kept = [row for row in rows if any(row[1:])]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in kept]) if kept else ""


def circumstances(lines):
    """Where it was measured, as the latest session tells."""
    known = {}
    for line in lines:
        if line.get("part") in ("begin", "facts"):
            known |= {name: value for name, value in line.items() if value is not None}
    known["packages"] = ", ".join(f"{name} {version}" for name, version in (known.get("libraries") or {}).items()
                                  if name.startswith(("onnxruntime", "nvidia")))
    small = "**A trial of the chain with hardly any model: no measurement.** " if known.get("small") else ""
    words = [("", "name"), ("driver ", "driver_version"), ("CUDA ", "cuda"), ("", "version"),
             ("ONNX Runtime: ", "onnxruntime"),
             ("", "packages"), ("torch ", "torch"), ("transformers ", "transformers"), ("cores: ", "cores")]
    told = [f"{before}{known[name]}" for before, name in words if known.get(name)]
    return f"{small}Device {known.get('device', '?')}; {'; '.join(told)}."


def exactness(lines):
    """Each check once, the latest."""
    checks = {}
    for line in lines:
        if line.get("part") == "exact" and "model" in line:
            row = checks.setdefault((line["model"], line["recipe"]), {"covers": line["covers"]})
            if "failed" in line or "skipped" in line:
                row["verdict"] = "failed" if "failed" in line else "not run"
            elif "exact" in line:
                row |= {line["what"]: line["value"], "tolerance": line["tolerance"], f"exact {line['what']}": line["exact"]}
                row["verdict"] = "yes" if row.get("exact prompt") and row.get("exact steps") else "NO"
            elif line.get("measure") == "difference":
                row[f"processor's {line['what']}"] = line["value"]
    shown = ("prompt", "steps", "processor's prompt", "processor's steps", "tolerance")
    rows = [[model, recipe, row["covers"], *[cell(row.get(name)) for name in shown], row.get("verdict", "")]
            for (model, recipe), row in checks.items()]
    return grid(["logits against the processor's", "recipe", "what it has", "prompt", "steps together",
                 "the processor itself in f16, prompt", "steps together", "tolerance", "exact"], rows)


def rates(found, model):
    """Decoding, and the bound that reading the weights sets."""
    rows = []
    for slots in found.values("decode", "slots", model):
        facts = {"slots": slots, "behind": plain_start(found, model)}
        row = [f"decode of {slots} together" if slots > 1 else "decode alone"]
        for _, who, recipe in COLUMNS:
            key = (who, model, recipe, "decode")
            row.append(cell(found.median(*key, **facts)) + found.busy(*key, **facts))
        rows.append(row)
    return join(grid(["tokens/s (card busy)", *[title for title, *_ in COLUMNS]], rows), bounds(found, model))


def plain_start(found, model):
    """The fewest tokens that decoding began behind: longer beginnings are in a table of their own."""
    return min(found.values("decode", "behind", model), default=None)


def bounds(found, model):
    """How near decoding alone comes to reading the weights once a token."""
    lines = []
    for title, who, recipe in COLUMNS[:2]:
        told = found.of(who, model, recipe, "weights") or found.of(None, model, recipe, "weights")
        alone = found.median(who, model, recipe, "decode", slots=1, behind=plain_start(found, model))
        if told and told[-1].get("reads"):
            weights, reads = told[-1]["value"], told[-1]["reads"]
            share = f"; decoding alone reaches {100 * alone * weights / reads:.0f} % of it" if alone else ""
            lines.append(f"{title} reads {weights / 1e9:.2f} GB of weights a step, which {reads / 1e12:.2f} TB/s allow "
                         f"{reads / weights:,.0f} times a second{share}.")
    return "\n".join(lines)


def prompts(found, model):
    rows = [[f"prompt of {length}", *[cell(found.median(who, model, recipe, "prefill", length=length))
                                      for _, who, recipe in COLUMNS]]
            for length in found.values("prefill", "length", model)]
    return grid(["tokens/s", *[title for title, *_ in COLUMNS]], rows)


def steps(found, model):
    """Behind short and long prompts, and what of a step is the engine's."""
    rows, short = [], plain_start(found, model)
    for title, facts in cases(found, model, short):
        rows.append([title, *[cell(found.median(who, model, recipe, "decode", **facts)) for _, who, recipe in COLUMNS[:2]],
                     *[cell(found.median(who, model, recipe, "decode_step", **facts)) for _, who, recipe in COLUMNS[:2]]])
    return grid(["decoding", "f16, tokens/s", "int4, tokens/s", "f16, ms in the engine a step", "int4, ms"], rows)


def cases(found, model, short):
    """Each way in which decoding was measured, with its facts."""
    for slots in found.values("decode", "slots", model):
        yield f"{slots}", {"slots": slots, "behind": short}
        for behind in found.values("decode", "behind", model):
            if behind != short:
                yield f"{slots} behind {behind}", {"slots": slots, "behind": behind}


def pictures(found, model="gemma-4-e2b"):
    """Both ways of both sides."""
    sides = (("lapidary", "cuda-int4"), ("transformers", "bf16"))
    rows = []
    for budget in found.values("pictures", "budget", model):
        cells = []
        for who, recipe in sides:
            for together in (False, True):
                key, facts = (who, model, recipe, "pictures"), {"budget": budget, "together": together}
                cells.append(cell(found.median(*key, **facts)) + found.busy(*key, **facts))
        rows.append([str(budget), *cells])
    return grid(["pictures/s (card busy), budget", "lapidary, one by one", "together", "transformers, one by one",
                 "together"], rows)


def work(found, model="gemma-4-e2b"):
    """The extraction workload."""
    rows = []
    for measure, title in (("pages", "pages/s, PDF to Parquet"), ("units", "units/s, tokens for pictures")):
        for slots in found.values(measure, "slots", model):
            row = [f"{title}, {slots} slots"]
            for _, who, recipe in COLUMNS:
                key, facts = (who, model, recipe, measure), {"slots": slots}
                watched = (who, model, recipe, "pages_run" if measure == "pages" and who == "lapidary" else measure)
                row.append(cell(found.median(*key, **facts)) + found.busy(*watched, **facts))
            rows.append(row)
    note = ("transformers' pages are patches already, and its answers are as long as ours without a grammar."
            if any(row[3] for row in rows) else "")
    return join(grid(["extraction (card busy)", *[title for title, *_ in COLUMNS]], rows), note)


def large(found, model="gemma-4-31b"):
    rows = [[f"decode of {slots} together" if slots > 1 else "decode alone",
             cell(found.median("lapidary", model, "cuda-int4", "decode", slots=slots))]
            for slots in found.values("decode", "slots", model)]
    rows += [[f"prompt of {length}", cell(found.median("lapidary", model, "cuda-int4", "prefill", length=length))]
             for length in found.values("prefill", "length", model)]
    return join(grid(["31B, tokens/s", "lapidary int4"], rows), bounds(found, model))


def public():
    return "Published by others, elsewhere: " + "; ".join(PUBLIC) + "."


def failures(lines):
    """What could not be measured in the latest session, and why."""
    begun = max((place for place, line in enumerate(lines) if line.get("part") == "begin"), default=0)
    told = []
    for line in lines[begun:]:
        why = line.get("failed") or line.get("skipped")
        if why:
            what = " ".join(str(line[name]) for name in ("part", "who", "model", "recipe") if line.get(name))
            told.append(f"- {what}: {why}")
    return "Not measured:\n\n" + "\n".join(told) if told else ""


def join(*blocks):
    return "\n\n".join(block for block in blocks if block)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--into", type=pathlib.Path, help="put the tables between the marks of this file")
    arguments = parser.parse_args()
    lines = results.read(arguments.results)
    text = of(lines)
    if not arguments.into:
        print(text)
        return
    if any(line.get("small") for line in lines):
        raise SystemExit("table.py: these results are a trial with hardly any model: they belong into no report")
    whole = arguments.into.read_text()
    if BEGIN not in whole or END not in whole:
        raise SystemExit(f"table.py: `{arguments.into}` has no {BEGIN} and {END}")
    before, rest = whole.split(BEGIN)
    arguments.into.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
