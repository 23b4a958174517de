"""Pages: lines of text drawn as a picture, worn by handling, scanning and photography, with the place of every
character; and the grid of soft tokens that a picture gets under a budget (transformers, image_processing_gemma4.py)."""
import io
import math

import numpy
from PIL import Image, ImageDraw, ImageFilter

import letters
from wording import prose

CELL = 48          # pixels of a soft token: 3 x 3 patches of 16
PATCH = 16
LEGIBLE = 12       # pixels of the smallest type that is to be read


def grid(width, height, budget):
    """Columns and rows of soft tokens for a picture of that size."""
    factor = math.sqrt(budget * CELL * CELL / (width * height))
    columns, rows = math.floor(width * factor / CELL), math.floor(height * factor / CELL)
    longest = budget
    if rows == 0:
        rows, columns = 1, min(math.floor(width / height), longest)
    elif columns == 0:
        columns, rows = 1, min(math.floor(height / width), longest)
    return max(columns, 1), max(rows, 1)


class Sheet:
    """A page that grows: lines are set on it, then it is drawn at a scale."""

    def __init__(self, dice):
        self.dice, self.set = dice, []
        family = dice.choices(["mono", "sans", "serif"], [0.45, 0.38, 0.17])[0]
        self.face = dice.choice(letters.FAMILIES[family])
        self.ink = dice.randint(0, 90)
        self.paper = dice.randint(max(150, self.ink + 110), 255)

    def line(self, x, y, size, text, face=None):
        """Sets one line whose ascent begins at y."""
        self.set.append((x, y, size, text, face or self.face))

    def smallest(self, width, height, columns, rows):
        """The smallest type, in pixels, once the page is that many soft tokens wide and high."""
        return min(size for _, _, size, _, _ in self.set) * min(columns * CELL / width, rows * CELL / height)

    def draw(self, width, height):
        """The picture in grey, and its characters as (character, x, y)."""
        picture = Image.new("L", (round(width), round(height)), self.paper)
        canvas, placed = ImageDraw.Draw(picture), []
        for x, y, size, text, face in self.set:
            placed += letters.write(canvas, face, size, x, y, text, self.ink)
        return picture, placed


def set_receipt(dice, shown, size):
    """A sheet with these lines, type of that size in pixels, as wide as the longest needs; gives sheet, width, height."""
    sheet = Sheet(dice)
    span = lambda line, face: letters.width(face, size, line.left) + (letters.width(face, size, line.right) + 1.5 * size if line.right else 0)
    inner = max(span(line, sheet.face) for line in shown) * dice.uniform(1.0, 1.25)
    pitch = size * dice.uniform(1.15, 1.75)
    left, top = size * dice.uniform(0.4, 3), size * dice.uniform(0.4, 3)
    y = top
    for line in shown:
        if line.rule:
            text = dice.choice("-=.*") * max(3, int(inner / letters.advance(sheet.face, size, "-")) - 1)
            text = text[: max(3, int(inner / max(1, letters.advance(sheet.face, size, text[0]))))]
            sheet.line(left, y, size, text)
        elif line.centred:
            sheet.line(left + (inner - letters.width(sheet.face, size, line.left)) / 2, y, size, line.left)
        else:
            grown = size
            if line.large:
                room = inner / max(1, span(line, sheet.face))
                grown = int(size * min(dice.uniform(1.1, 1.6), max(1.0, room)))
            sheet.line(left, y, grown, line.left)
            if line.right:
                sheet.line(left + inner - letters.width(sheet.face, grown, line.right), y, grown, line.right)
            y += max(0, grown - size)
        y += pitch
    return sheet, left + inner + size * dice.uniform(0.4, 3), y + size * dice.uniform(0.2, 3)


def set_prose(dice, lists, lines, columns, size):
    """A sheet with lines of prose; gives sheet, width, height, text."""
    sheet = Sheet(dice)
    pitch = size * dice.uniform(1.15, 1.8)
    left, y = size * dice.uniform(0.2, 2), size * dice.uniform(0.2, 2)
    texts = []
    for _ in range(lines):
        text = " ".join(prose(dice, lists, dice.randint(max(2, columns // 2), columns)).split())
        sheet.line(left, y, size, text)
        texts.append(text)
        y += pitch
    wide = max(letters.width(sheet.face, size, text) for text in texts)
    return sheet, left + wide + size * dice.uniform(0.2, 2), y + size * dice.uniform(0, 1.5), "\n".join(texts)


def worn(dice, picture, placed, harshness=1.0):
    """The page tilted, shaded, blurred, noisy and compressed; most pages get little of it."""
    if dice.random() < 0.5 * harshness:
        picture, placed = tilted(dice, picture, placed, dice.uniform(-2.5, 2.5) * harshness)
    if dice.random() < 0.25 * harshness:
        picture = picture.filter(ImageFilter.GaussianBlur(dice.uniform(0.2, 0.9) * harshness))
    if dice.random() < 0.5 * harshness:
        grey = numpy.asarray(picture, dtype=numpy.float32)
        source = numpy.random.default_rng(dice.randrange(2**32))
        high, wide = grey.shape
        shade = numpy.linspace(dice.uniform(-25, 25), dice.uniform(-25, 25), wide)[None, :] + numpy.linspace(0, dice.uniform(-30, 30), high)[:, None]
        grain = source.standard_normal(grey.shape, dtype=numpy.float32) * dice.uniform(0, 14) * harshness
        picture = Image.fromarray(numpy.clip(grey + shade + grain, 0, 255).astype(numpy.uint8))
    if dice.random() < 0.35 * harshness:
        packed = io.BytesIO()
        picture.save(packed, "JPEG", quality=dice.randint(30, 90))
        picture = Image.open(packed).convert("L")
    return picture, placed


def laid(dice, picture, placed):
    """The page on a table of another shade, photographed from nearly above: a wider picture, turned a little."""
    sides = [round(dice.uniform(0.02, 0.12) * picture.width) for _ in range(2)]
    ends = [round(dice.uniform(0.02, 0.10) * picture.height) for _ in range(2)]
    size = (picture.width + sum(sides), picture.height + sum(ends))
    table = dice.randint(20, 200)
    whole = Image.new("L", size, table)
    for _ in range(dice.randint(0, 12)):  # grain of wood
        y = dice.randint(0, size[1])
        ImageDraw.Draw(whole).line([(0, y), (size[0], y + dice.randint(-20, 20))], fill=max(0, table + dice.randint(-25, 25)), width=dice.randint(1, 6))
    whole.paste(picture, (sides[0], ends[0]))
    return tilted(dice, whole, [(character, x + sides[0], y + ends[0]) for character, x, y in placed], dice.uniform(-4, 4), table)


def tilted(dice, picture, placed, degrees, shade=None):
    """Turned about its middle by a few degrees, the corners filled with a shade."""
    turned = picture.rotate(degrees, Image.BICUBIC, fillcolor=dice.randint(60, 255) if shade is None else shade)
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    middle_x, middle_y = picture.width / 2, picture.height / 2
    moved = [
        (character, middle_x + (x - middle_x) * cosine + (y - middle_y) * sine,
         middle_y - (x - middle_x) * sine + (y - middle_y) * cosine)
        for character, x, y in placed
    ]
    return turned, moved


def patches(picture, columns, rows):
    """The picture at columns x rows soft tokens, cut into patches: bytes of shape [9 * columns * rows, 256]."""
    wide, high = columns * CELL, rows * CELL
    if picture.size != (wide, high):
        picture = picture.resize((wide, high), Image.BICUBIC)
    pixels = numpy.asarray(picture).reshape(high // PATCH, PATCH, wide // PATCH, PATCH)
    return pixels.transpose(0, 2, 1, 3).reshape(-1, PATCH * PATCH)
