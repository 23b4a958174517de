"""Trains the demo model: python train.py FOLDER [--hours 3] [--threads 2] [--bundle DIR].

Two stages. First the vision tower learns letters: from each soft token it must tell which characters lie under it. Then
the whole model learns to read: prose in small pictures, prose on pages, receipts, invoices. FOLDER holds the state, so that a run that was stopped goes on where
it was, and at the end `checkpoint/`, which `lapidary model export` takes. With `--bundle` it begins with the weights of an
exported bundle, and after the heads that are not in it the whole learns on, at a seventh of the rate."""
import argparse
import contextlib
import dataclasses
import json
import pathlib
import time

import torch
from torch.nn import functional
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

import samples
from grid import Grid
from model import Reader, write
from muon import Muon
from restore import restore
from spelling import Speller



@dataclasses.dataclass(frozen=True)
class Plan:
    """Stages as (name, share of the time, kinds of samples), and the rate: at first `full`, from so many `brisk` batches on less
    with their root, over the last share `fall` of the time down to nothing. `under` is what the loss under the soft tokens counts. `coarse` weights learn as a small bundle
    holds them."""
    stages: list
    full: float
    brisk: int
    fall: float
    under: float
    coarse: bool = False


BEGINNING = Plan([
    ("letters", 0.28, {"crop": 1.0}),
    ("first words", 0.10, {"crop": 0.2, "text16": 0.5, "text30": 0.3}),
    ("lines", 0.14, {"crop": 0.1, "text16": 0.1, "text30": 0.35, "text70": 0.2, "receipt70": 0.25}),
    ("receipts", 0.38, {"crop": 0.04, "text30": 0.06, "text140": 0.25, "receipt140": 0.35, "invoice280": 0.3}),
    ("last touches", 0.10, {"text140": 0.3, "receipt280": 0.4, "invoice280": 0.3}),
], full=1.0, brisk=350, fall=0.35, under=1.0)
HEADS = "heads"    # the stage in which the heads of training alone learn
GOING_ON = Plan([
    (HEADS, 0.03, {"crop": 0.4, "text140": 0.3, "receipt280": 0.3}),
    ("reading", 0.97, {"crop": 0.02, "print70": 0.10, "text140": 0.28, "receipt280": 0.20, "invoice280": 0.40}),
], full=0.15, brisk=10_000, fall=1.0, under=0.3, coarse=True)  # its heads begin anew, and would turn the tower over
PLACES = 640       # soft tokens and tokens of answers in a batch
GATHERED = 2       # batches before the weights move
WARM = 60          # batches
HEADS_RATE = 0.5   # of the full rate, while they learn alone


def exact_attention(module, query, key, value, attention_mask, scaling=None, **_):
    """Attention in f32, which on CPUs is faster than in bf16."""
    groups = query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(groups, 1) if groups > 1 else part for part in (key, value))
    with torch.autocast("cpu", enabled=False):
        seen = functional.scaled_dot_product_attention(
            query.float(), key.float(), value.float(), is_causal=module.is_causal, scale=scaling)
    return seen.transpose(1, 2).to(query.dtype).contiguous(), None


def brief():
    """Products in bf16 where the processor has units for them (AMX), else in f32, which is faster there."""
    able = torch.cpu.get_capabilities()
    return torch.autocast("cpu", torch.bfloat16, enabled=able["amx_bf16"])


def by_patch(batch):
    """The cells under each patch, [B, N, 2], from those under each soft token."""
    count = batch.under.shape[0]
    cells = batch.under.reshape(count, batch.rows, batch.columns, samples.SLOTS_DOWN, 3, samples.SLOTS_ACROSS // 3)
    return cells.transpose(0, 1, 3, 2, 4, 5).reshape(count, -1, samples.SLOTS_ACROSS // 3).copy()


class Trainer:
    """Model, optimisers, and how far they are."""

    def __init__(self, folder, hours, threads, seed, bundle=None):
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self.folder, self.total, self.seed = folder, hours * 3600, seed
        self.speller = Speller()
        self.reader = Reader(self.speller.ids, samples.CLASSES)
        ALL_ATTENTION_FUNCTIONS.register("exact", exact_attention)
        self.reader.gemma.set_attn_implementation({"text_config": "exact", "vision_config": "exact", "": "exact"})
        maps, others = [], []
        for name, weight in self.reader.named_parameters():
            inner = weight.ndim == 2 and "embed_tokens" not in name and name.startswith("gemma")
            (maps if inner else others).append(weight)
        # Muon for the linear maps, AdamW for tables, norms and the heads of training.
        self.optimisers = [
            Muon(maps, lr=8e-3, weight_decay=0.05),
            torch.optim.AdamW(others, lr=4e-3, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        self.rates = [group["lr"] for optimiser in self.optimisers for group in optimiser.param_groups]
        self.step, self.spent = 0, 0.0
        self.plan = GOING_ON if bundle else BEGINNING
        self.grid = Grid(self.reader.gemma) if self.plan.coarse else contextlib.nullcontext()
        self.resume(bundle)

    def resume(self, bundle):
        """Takes up the state of a run before, or the weights of a bundle."""
        state = self.folder / "state.pt"
        if bundle and not state.exists():
            restore(self.reader.gemma, bundle)
        if state.exists():
            kept = torch.load(state, weights_only=False)
            self.reader.load_state_dict(kept["reader"])
            for optimiser, part in zip(self.optimisers, kept["optimisers"]):
                optimiser.load_state_dict(part)
            self.step, self.spent = kept["step"], kept["spent"]

    def keep(self):
        """Writes the state beside the old one, then in its place."""
        part = self.folder / "state.part"
        torch.save({"reader": self.reader.state_dict(), "optimisers": [one.state_dict() for one in self.optimisers],
                    "step": self.step, "spent": self.spent}, part)
        part.replace(self.folder / "state.pt")
        with self.grid:
            write(self.reader.gemma, self.speller, self.folder / "checkpoint")

    def stage(self):
        """The stage of this moment."""
        done = self.spent / self.total
        for name, share, mixture in self.plan.stages:
            if done < share:
                return name, mixture
            done -= share
        return self.plan.stages[-1][0], self.plan.stages[-1][2]

    def rate(self):
        """The share of the first learning rate, by the plan."""
        if self.stage()[0] == HEADS:
            return HEADS_RATE
        left = max(1 - self.spent / self.total, 0.0)
        slowed = min((self.step + 1) / WARM, (self.plan.brisk / (self.step + 1)) ** 0.5, 1.0)
        return self.plan.full * slowed * min(1.0, left / self.plan.fall + 0.01)

    def losses(self, batch):
        """Loss under the soft tokens, loss of the answer, and shares that are right: characters, answers' tokens, whole answers."""
        pixels = torch.from_numpy(batch.pixels).float() / 255
        count = pixels.shape[0]
        rows, columns = torch.meshgrid(torch.arange(batch.rows * 3), torch.arange(batch.columns * 3), indexing="ij")
        place = torch.stack([columns + batch.offset[0], rows + batch.offset[1]], -1).reshape(1, -1, 2).expand(count, -1, -1)
        alone = self.stage()[0] == HEADS
        with brief():
            with torch.set_grad_enabled(not alone):
                soft, patches = self.reader.see(pixels, place, batch.columns, batch.rows)
            under, within = self.reader.under(soft), self.reader.within(patches)
            where = self.reader.column(soft), self.reader.row(soft)
        dense, letters = self.dense(under, batch.under)
        dense = dense + self.dense(within, by_patch(batch))[0]
        if batch.kind != "crop":
            dense = dense + 0.2 * self.places(where, batch, count)
        if batch.tokens is None or alone:
            return dense, None, letters, None, None
        said, right, whole = self.answer(torch.from_numpy(batch.tokens).long(), batch.start, soft)
        return dense, said, letters, right, whole

    def answer(self, tokens, start, soft):
        """Loss of the answer, and shares that are right."""
        with brief():
            hidden = self.reader.say(tokens, soft)[:, start - 1:-1]
            logits = self.reader.logits(hidden)
        wanted = tokens[:, start:]
        real = wanted != self.speller.ids["<pad>"]
        loss = functional.cross_entropy(logits[real].float(), wanted[real])
        right = (logits.argmax(-1) == wanted) | ~real
        return loss, right[real].float().mean().item(), right.all(-1).float().mean().item()

    def dense(self, scores, cells):
        """Which characters lie in each cell; empty cells weigh little."""
        wanted = torch.from_numpy(cells).long().reshape(-1)
        scores = scores.reshape(-1, samples.CLASSES).float()
        weight = torch.ones(samples.CLASSES)
        weight[samples.BLANK] = 0.15
        inked = wanted != samples.BLANK
        return functional.cross_entropy(scores, wanted, weight), (scores.argmax(-1) == wanted)[inked].float().mean().item()

    def places(self, where, batch, count):
        """Which column and row a soft token is."""
        rows, columns = torch.meshgrid(torch.arange(batch.rows), torch.arange(batch.columns), indexing="ij")
        return sum(
            functional.cross_entropy(scores.flatten(0, 1).float(), wanted.reshape(-1).repeat(count))
            for scores, wanted in zip(where, (columns, rows))
        )

    def learn(self, batch):
        """From one batch; a step down the slope follows after each `GATHERED`."""
        with self.grid:
            dense, said, *right = self.losses(batch)
            ((dense if said is None else said + self.plan.under * dense) / GATHERED).backward()
        self.step += 1
        if self.step % GATHERED == 0:
            self.descend()
        return [dense.item(), said.item() if said is not None else None, *right]

    def descend(self):
        """Down the slope that has been gathered. What no loss depends on stays."""
        torch.nn.utils.clip_grad_norm_(self.reader.parameters(), 1.0)
        groups = [group for optimiser in self.optimisers for group in optimiser.param_groups]
        for group, rate in zip(groups, self.rates):
            group["lr"] = rate * self.rate()
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    def run(self):
        """To the end of the time."""
        source, told, sums, kept = samples.Source(self.seed + self.step, PLACES), time.time(), {}, time.time()
        with contextlib.suppress(KeyboardInterrupt):
            while self.spent < self.total:
                began = time.time()
                name, mixture = self.stage()
                source.mix(mixture)
                batch = source.next()
                sums.setdefault(batch.kind, []).append([*self.learn(batch), batch.pixels.shape[0]])
                self.spent += min(time.time() - began, 10.0)  # a machine that slept does not count
                if time.time() - told > 30:
                    self.tell(name, sums)
                    told, sums = time.time(), {}
                if time.time() - kept > 240:
                    self.keep()
                    kept = time.time()
        self.keep()

    def tell(self, name, sums):
        """A line of the log for each kind of sample."""
        for kind, rows in sorted(sums.items()):
            mean = [sum(values) / len(values) if (values := [row[place] for row in rows if row[place] is not None]) else None for place in range(5)]
            line = {"minutes": round(self.spent / 60, 1), "step": self.step, "stage": name, "kind": kind, "samples": sum(row[5] for row in rows)}
            line |= {key: round(value, 4) for key, value in zip(["dense", "said", "letters", "tokens", "answers"], mean) if value is not None}
            with open(self.folder / "log.jsonl", "a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            print(line, flush=True)


def main():
    """Reads the command line."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", type=pathlib.Path)
    words.add_argument("--hours", type=float, default=3.0)
    words.add_argument("--threads", type=int, default=2)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--bundle", type=pathlib.Path, help="an exported bundle to begin with, in place of nothing")
    given = words.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    Trainer(given.folder, given.hours, given.threads, given.seed, given.bundle).run()


if __name__ == "__main__":
    main()
