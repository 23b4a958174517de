"""What the model is trained on: crops of print, pages of prose, receipts and invoices, in batches of one grid each, made by
processes of their own while the model learns."""
import contextlib
import multiprocessing
import os
import queue

import numpy

import invoices
import pages
import receipts
from model import SLOTS_ACROSS, SLOTS_DOWN, TRAINED
from spelling import RECEIPT, TEXT, Speller
from wording import TRAINING, dice

BLANK = 0
ON_A_TABLE = 0.3   # of the pages
CHARACTERS = {character: place + 1 for place, character in enumerate([*(chr(code) for code in range(0x21, 0x7F)), "€", "£"])}
CLASSES = len(CHARACTERS) + 1


class Sample:
    """A picture at its grid, what lies under each of its soft tokens, and what is to be said of it."""

    def __init__(self, picture, placed, columns, rows, task=None, answer=None):
        self.columns, self.rows, self.task, self.answer = columns, rows, task, answer
        self.patches = pages.patches(picture, columns, rows)
        self.under = numpy.zeros((columns * rows, SLOTS_ACROSS * SLOTS_DOWN), dtype=numpy.int16)
        across, down = columns * pages.CELL / picture.width, rows * pages.CELL / picture.height
        for character, x, y in placed:
            cell_x, cell_y = int(x * across * SLOTS_ACROSS / pages.CELL), int(y * down * SLOTS_DOWN / pages.CELL)
            column, row = cell_x // SLOTS_ACROSS, cell_y // SLOTS_DOWN
            if 0 <= column < columns and 0 <= row < rows and x >= 0 and y >= 0:
                slot = cell_y % SLOTS_DOWN * SLOTS_ACROSS + cell_x % SLOTS_ACROSS
                self.under[row * columns + column, slot] = CHARACTERS[character]


def crop(chance):
    """A window into print, without a task."""
    columns, rows = chance.choice([(4, 3), (5, 3), (6, 2), (3, 4), (4, 4)])
    wide, high = columns * pages.CELL, rows * pages.CELL
    size = round(chance.triangular(12, 30, 19))
    sheet, width, height, _ = pages.set_prose(chance, TRAINING, 2 + int(high / size / 1.1), int(wide / size * 2.2), size)
    picture, placed = sheet.draw(max(width, wide + 8), max(height, high + 8))
    left, top = chance.randint(0, min(40, picture.width - wide)), chance.randint(0, min(20, picture.height - high))
    stretch = chance.uniform(0.9, 1.1)
    box = (left, top, min(picture.width, left + int(wide * stretch)), min(picture.height, top + int(high / stretch)))
    picture = picture.crop(box)
    picture, placed = pages.worn(chance, picture, [(character, x - left, y - top) for character, x, y in placed])
    return Sample(picture, placed, columns, rows)


def text(chance, budget, lists=TRAINING):
    """A page of prose, to be read aloud."""
    size = chance.randint(13, 30)
    columns = chance.randint(6, 26) if budget >= 40 else chance.randint(4, 14)
    lines = chance.randint(1, 3) if budget < 40 else chance.randint(2, 7)
    return aloud(chance, budget, pages.set_prose(chance, lists, lines, columns, size))


def print_small(chance, budget, lists=TRAINING):
    """Prose in type as small as can be read, many letters to a soft token, to be read aloud."""
    size = chance.randint(13, 17)
    across = chance.randint(12, 36)
    return aloud(chance, budget, pages.set_prose(chance, lists, chance.randint(3, 9), across, size))


def aloud(chance, budget, prose):
    """A page of prose with what is to be said of it."""
    sheet, width, height, said = prose
    return finish(chance, sheet, width, height, budget, TEXT, '{"text":"' + said.replace("\n", "\\n") + '"}')


def receipt(chance, budget, lists=TRAINING, most_items=4):
    """A receipt, to be read into its fields."""
    bought = receipts.draw(chance, lists, most_items)
    sheet, width, height = pages.set_receipt(chance, receipts.lines(chance, lists, bought), chance.randint(13, 26))
    return finish(chance, sheet, width, height, budget, RECEIPT, bought.record())


def invoice(chance, budget, lists=TRAINING, most_items=4):
    """An invoice, to be read into the fields of a receipt."""
    billed = invoices.draw(chance, lists, most_items)
    sheet, width, height = invoices.set_invoice(chance, lists, billed, chance.randint(14, 24))
    return finish(chance, sheet, width, height, budget, RECEIPT, billed.record())


def finish(chance, sheet, width, height, budget, task, answer):
    """Draws, wears and cuts a sheet; nothing when its letters would be too small to be told apart."""
    columns, rows = pages.grid(round(width), round(height), budget)
    if sheet.smallest(width, height, columns, rows) < pages.LEGIBLE or columns * 3 > TRAINED or rows * 3 > TRAINED:
        return None
    picture, placed = sheet.draw(width, height)
    if chance.random() < ON_A_TABLE:
        picture, placed = pages.laid(chance, picture, placed)
        columns, rows = pages.grid(*picture.size, budget)
    picture, placed = pages.worn(chance, picture, placed)
    return Sample(picture, placed, columns, rows, task, answer)


KINDS = {
    "crop": crop,
    "text16": lambda chance: text(chance, 16),
    "text30": lambda chance: text(chance, 30),
    "text70": lambda chance: text(chance, 70),
    "text140": lambda chance: text(chance, 140),
    "print70": lambda chance: print_small(chance, 70),
    "receipt70": lambda chance: receipt(chance, 70, most_items=chance.choice([1, 2, 3, 4])),
    "receipt140": lambda chance: receipt(chance, 140, most_items=chance.choice([1, 2, 3, 4, 5, 6])),
    "receipt280": lambda chance: receipt(chance, 280, most_items=chance.choice([1, 2, 3, 4, 5, 6])),
    "invoice280": lambda chance: invoice(chance, 280, most_items=chance.choice([1, 2, 3, 4, 5])),
}


class Batch:
    """Samples of one grid, as arrays, with the ids of their answers."""

    def __init__(self, kind, samples, answers, speller, chance):
        first = samples[0]
        self.kind, self.columns, self.rows = kind, first.columns, first.rows
        self.pixels = numpy.stack([sample.patches for sample in samples])
        self.under = numpy.stack([sample.under for sample in samples])
        reach = [TRAINED - 3 * first.columns, TRAINED - 3 * first.rows]
        # Crops stand anywhere, so that all places are learnt; pages begin at their corner.
        self.offset = [chance.randint(0, min(60, most)) if kind == "crop" else 0 for most in reach]
        self.tokens, self.start = None, 0
        if first.task:
            prompt = speller.prompt(first.columns * first.rows, first.task)
            longest = max(map(len, answers))
            pad = speller.ids["<pad>"]
            self.tokens = numpy.array([prompt + answer + [pad] * (longest - len(answer)) for answer in answers], dtype=numpy.int32)
            self.start = len(prompt)


def produce(batches, mixture, seed, places):
    """Fills the queue for ever. `mixture` is a shared array of the kinds' shares; a batch holds about so many soft tokens and
    tokens of answers."""
    os.nice(5)
    chance, speller, waiting = dice(seed), Speller(), {}
    names = list(KINDS)
    while True:
        kind = chance.choices(names, list(mixture))[0]
        sample = KINDS[kind](chance)
        if sample is None:
            continue
        group = waiting.setdefault((kind, sample.columns, sample.rows), [])
        group.append((sample, speller.answer(sample.answer) if sample.task else []))
        if sum(sample.columns * sample.rows + len(answer) for sample, answer in group) >= places:
            batches.put(Batch(kind, *zip(*group), speller, chance))
            group.clear()


class Source:
    """Batches without end."""

    def __init__(self, seed, places, processes=1):
        self.queue = multiprocessing.Queue(maxsize=16)
        self.mixture = multiprocessing.Array("d", [1.0] + [0.0] * (len(KINDS) - 1))
        self.workers = [
            multiprocessing.Process(target=produce, args=(self.queue, self.mixture, seed * 1000 + place, places), daemon=True)
            for place in range(processes)
        ]
        for worker in self.workers:
            worker.start()

    def mix(self, shares):
        """From now on batches are of these kinds, by chance."""
        self.mixture[:] = [shares.get(kind, 0.0) for kind in KINDS]

    def next(self):
        """The next batch; an error when all that make them have died."""
        while True:
            with contextlib.suppress(queue.Empty):
                return self.queue.get(timeout=10)
            if not any(worker.is_alive() for worker in self.workers):
                raise RuntimeError("no process makes samples any more; what stopped it is said above")
