"""Writes the held-out set: python make_held_out.py ../../../fixtures/demo

Receipts, pages of prose and invoices with other seeds and other words than training: PDFs with a text layer, scanned PDFs, and
JPEGs as a phone takes them; and receipts.jsonl, texts.jsonl and invoices.jsonl, which say of each file what is on it. Running it
again gives the same bytes."""
import io
import json
import pathlib
import sys

from PIL import Image
from reportlab import rl_config
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen import canvas

import invoices
import letters
import pages
import receipts
from wording import HELD_OUT, dice

rl_config.invariant = 1
SEED = 7_000_000
RECEIPTS, TEXTS, INVOICES = 60, 24, 30
BUDGET = 70     # at which the letters of each page are large enough
LARGE = 280     # the same, of invoices
POINTS = 0.6    # of a pixel


def typeset(_, sheet, width, height, path):
    """A PDF of one page whose text can be selected."""
    page = canvas.Canvas(str(path), pagesize=(width * POINTS, height * POINTS), pageCompression=1)
    for x, y, size, text, face in sheet.set:
        if face not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(face, str(letters.files()[face])))
        page.setFont(face, size * POINTS)
        baseline = height - y - letters.font(face, size).getmetrics()[0]
        page.drawString(x * POINTS, baseline * POINTS, text)
    page.showPage()
    page.save()


def scanned(chance, sheet, width, height, path):
    """A PDF that is one picture, a little skewed and grey."""
    picture, _ = pages.worn(chance, *sheet.draw(width, height), harshness=1.2)
    packed = io.BytesIO()
    picture.save(packed, "JPEG", quality=70)
    page = canvas.Canvas(str(path), pagesize=(width * POINTS, height * POINTS), pageCompression=1)
    packed.seek(0)
    page.drawImage(ImageReader(packed), 0, 0, width * POINTS, height * POINTS)
    page.showPage()
    page.save()


def photographed(chance, sheet, width, height, path):
    """A JPEG of the page on a table, warm in colour as lamps make it."""
    picture, placed = pages.laid(chance, *sheet.draw(width, height))
    picture, _ = pages.worn(chance, picture, placed, harshness=1.2)
    warmth = chance.uniform(0.9, 1.0)
    Image.merge("RGB", [picture, picture.point(lambda grey: grey * (1 + warmth) / 2), picture.point(lambda grey: grey * warmth)]).save(path, quality=75)


FORMS = [("typeset", "pdf", typeset), ("scan", "pdf", scanned), ("photo", "jpg", photographed)]


def put(chance, out, name, place, sheet, width, height):
    """One file in the form whose turn it is; gives its path within the set."""
    form, ending, make = FORMS[place % len(FORMS)]
    path = out / f"{name}-{place:02}-{form}.{ending}"
    make(chance, sheet, width, height, path)
    return path


def legible(sheet, width, height, budget=BUDGET):
    """Whether the smallest letters are large enough at the budget that the demo reads with."""
    columns, rows = pages.grid(round(width), round(height), budget)
    return sheet.smallest(width, height, columns, rows) >= 1.1 * pages.LEGIBLE


def bills(out):
    """The invoices; gives what is on them."""
    known = []
    for seed in range(2 * SEED, 2 * SEED + 10_000):
        if len(known) == INVOICES:
            break
        chance = dice(seed)
        billed = invoices.draw(chance, HELD_OUT, most_items=4)
        sheet, width, height = invoices.set_invoice(chance, HELD_OUT, billed, chance.randint(16, 24))
        if not legible(sheet, width, height, LARGE):
            continue
        path = put(chance, out / "invoices", "invoice", len(known), sheet, width, height)
        known.append({"file": f"invoices/{path.name}", "record": json.loads(billed.record())})
    return known


def main(out):
    """Receipts, then pages of prose; and invoices."""
    out = pathlib.Path(out)
    truth = {"receipts": [], "texts": [], "invoices": []}
    for folder in truth:
        (out / folder).mkdir(parents=True, exist_ok=True)
    place = 0
    for seed in range(SEED, SEED + 10_000):
        chance = dice(seed)
        if place < RECEIPTS:
            bought = receipts.draw(chance, HELD_OUT, most_items=4)
            sheet, width, height = pages.set_receipt(chance, receipts.lines(chance, HELD_OUT, bought), chance.randint(16, 24))
            folder, record, count = "receipts", json.loads(bought.record()), place
        elif place < RECEIPTS + TEXTS:
            sheet, width, height, said = pages.set_prose(chance, HELD_OUT, chance.randint(2, 7), chance.randint(10, 24), chance.randint(16, 26))
            folder, record, count = "texts", {"text": said}, place - RECEIPTS
        else:
            break
        if not legible(sheet, width, height):
            continue
        path = put(chance, out / folder, folder[:-1], count, sheet, width, height)
        truth[folder].append({"file": f"{folder}/{path.name}", "record": record})
        place += 1
    truth["invoices"] = bills(out)
    for folder, known in truth.items():
        lines = [json.dumps(line, ensure_ascii=False) + "\n" for line in known]
        (out / f"{folder}.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
