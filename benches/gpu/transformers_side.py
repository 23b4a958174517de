"""transformers on PyTorch on the same card, at the same work as benches/gpu/main.rs and with the same lines of
output.

The checkpoint in bf16, eager, attention by `sdpa`, sequences of equal length as one batch over a dynamic cache;
likeliest tokens, without a grammar. `--what rates|pictures|extraction|pages`.
"""
import argparse
import copy
import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, DynamicCache
from transformers.utils import logging

LEAD = 8
"""Steps before decoding is measured."""

PAGE = (1654, 2339)
"""Pixels of an A4 page at 200 dpi."""


def ids(stream, count):
    """As benches/peers makes them."""
    return [1000 + (stream * 7919 + place * 104729 + place * place * 31) % 200003 for place in range(count)]


class Clock:
    """Since when something has been going on."""

    def __init__(self, device):
        self.device = device
        self.wait()
        self.wall, self.began = time.time(), time.perf_counter()

    def wait(self):
        """Until the card has done what it was given."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def seconds(self):
        self.wait()
        return time.perf_counter() - self.began

    def say(self, measure, value, **facts):
        """One measurement that ends now."""
        line = {"measure": measure, "value": value, "began": self.wall, "ended": time.time(), **facts}
        print(json.dumps(line), flush=True)


class Text:
    """The language model, and the cache of the running batch."""

    def __init__(self, path, device, kind=AutoModelForCausalLM):
        logging.set_verbosity_error()
        clock = Clock(device)
        model = kind.from_pretrained(path, dtype=torch.bfloat16, attn_implementation="sdpa")
        self.model, self.device = model.eval().to(device), device
        self.cache, self.kept = None, None
        clock.say("open", clock.seconds())

    def fresh(self):
        return DynamicCache(config=self.model.config.get_text_config())

    def learn(self, tokens):
        """Runs a beginning and keeps its cache."""
        self.prefill([tokens])
        self.kept = self.cache

    def prefill(self, prompts, shared=False, **media):
        """One sequence for each prompt, behind a copy of the kept beginning if `shared`; their next tokens."""
        self.cache = self.fresh()
        if shared:
            self.cache = copy.deepcopy(self.kept)
            self.cache.batch_repeat_interleave(len(prompts))
        return self.run(torch.tensor(prompts, device=self.device), **media)

    @torch.inference_mode()
    def run(self, rows, **media):
        out = self.model(input_ids=rows, past_key_values=self.cache, use_cache=True, logits_to_keep=1, **media)
        return out.logits[:, -1].argmax(-1, keepdim=True)

    def decode(self, tokens, steps):
        """Feeds each sequence its latest token, so many times, and lets the host see each, as whoever decides on it
        must."""
        for _ in range(steps):
            tokens = self.run(tokens)
            tokens.tolist()
        return tokens


def rates(options):
    """Prompts of several lengths, and decoding so many sequences together."""
    text = Text(options.model, options.device)
    for length in options.lengths:
        for repeat in range(options.repeats + 1):
            clock = Clock(options.device)
            text.prefill([ids(10 + repeat, length)]).tolist()
            if repeat:
                clock.say("prefill", length / clock.seconds(), length=length)
    for slots in options.slots:
        tokens = text.prefill([ids(5000 + slot, options.short) for slot in range(slots)])
        tokens = text.decode(tokens, LEAD)
        for _ in range(options.repeats):
            clock = Clock(options.device)
            tokens = text.decode(tokens, options.steps)
            clock.say("decode", slots * options.steps / clock.seconds(), slots=slots, behind=options.short)


def extraction(options):
    """All units, as many at once as there are slots; the kept beginning is made within the measured time."""
    text, slots = Text(options.model, options.device), options.slots[0]
    text.learn(ids(1, options.shared))
    clock = Clock(options.device)
    text.learn(ids(1, options.shared))
    for start in range(0, options.units, slots):
        prompts = [ids(1000 + unit, options.own) for unit in range(start, min(start + slots, options.units))]
        text.decode(text.prefill(prompts, shared=True), options.answer - 1)
    clock.say("units", options.units / clock.seconds(), units=options.units, slots=slots, answer=options.answer)


def grid(budget):
    """Soft tokens across and down of a page; as `Grid::fit`."""
    factor = (budget * 48 * 48 / (PAGE[0] * PAGE[1])) ** 0.5
    return int(factor * PAGE[0] // 48), int(factor * PAGE[1] // 48)


def noise(budget, count, device):
    """So many pictures of a page's shape, and their soft tokens."""
    across, down = grid(budget)
    columns, rows = 3 * across, 3 * down
    places = torch.tensor([(place % columns, place // columns) for place in range(columns * rows)])
    pixels = torch.rand(count, columns * rows, 768)
    return {"pixel_values": pixels.to(device), "image_position_ids": places.expand(count, -1, 2).to(device)}, across * down


def pictures(options):
    """Pictures a second for each budget, one by one and several in a run."""
    text = Text(options.model, options.device, AutoModelForImageTextToText)
    for budget in options.budgets:
        count = max(1, min(options.count * 1120 // budget, 4 * options.count))
        for together in (False, True):
            several(text, budget, count, together)


def several(text, budget, count, together):
    """As many pictures in a run as make up 20,000 patches, or one; the first pass is not counted."""
    _, soft_tokens = noise(budget, 1, "cpu")
    size = max(1, min(count, 20000 // (9 * soft_tokens))) if together else 1
    for measured in (False, True):
        batches = [noise(budget, size, "cpu")[0] for _ in range(0, count, size)]
        clock = Clock(text.device)
        for batch in batches:
            moved = {name: tensor.to(text.device) for name, tensor in batch.items()}
            with torch.inference_mode():
                features = text.model.get_image_features(**moved, return_dict=True).pooler_output
            [feature.float().cpu() for feature in features]
        if measured:
            clock.say("pictures", size * len(batches) / clock.seconds(), budget=budget, soft_tokens=soft_tokens,
                      together=together, pictures=size * len(batches))


def pages(options):
    """Whole pages: a picture and text in, so many tokens out, `slots` pages at once. The pages are already patches."""
    text = Text(options.model, options.device, AutoModelForImageTextToText)
    slots, config = options.slots[0], text.model.config
    media, soft_tokens = noise(options.budgets[0], slots, "cpu")
    places = [config.boi_token_id, *[config.image_token_id] * soft_tokens, config.eoi_token_id]
    prompts = [ids(1, options.shared) + places + ids(1000 + unit, 30) for unit in range(slots)]
    kinds = torch.tensor([[int(token == config.image_token_id) for token in prompt] for prompt in prompts])
    for measured in (False, True):
        rounds = max(1, options.units // slots) if measured else 1
        clock = Clock(options.device)
        for _ in range(rounds):
            moved = {name: tensor.to(options.device) for name, tensor in media.items()}
            tokens = text.prefill(prompts, mm_token_type_ids=kinds.to(options.device), **moved)
            text.decode(tokens, options.answer - 1 if measured else 2)
        if measured:
            clock.say("pages", rounds * slots / clock.seconds(), slots=slots, budget=options.budgets[0],
                      answer=options.answer)


def numbers(text):
    return [int(word) for word in text.split(",") if word]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--what", required=True, choices=("rates", "pictures", "extraction", "pages"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--slots", type=numbers, default=[1])
    parser.add_argument("--lengths", type=numbers, default=[])
    parser.add_argument("--budgets", type=numbers, default=[280])
    for name, absent in {"short": 32, "steps": 64, "repeats": 3, "count": 16, "units": 64, "shared": 400, "own": 296,
                         "answer": 100}.items():
        parser.add_argument(f"--{name}", type=int, default=absent)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("PyTorch is here and sees no card")
    {"rates": rates, "pictures": pictures, "extraction": extraction, "pages": pages}[options.what](options)


if __name__ == "__main__":
    main()
