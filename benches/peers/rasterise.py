"""The peer of benches/decode.rs: pypdfium2 in one process. Prints the seconds for all pages of the given files.

Arguments: `text` or `boxes`, width, height, files. Each page is drawn with its annotations at exactly width x height into a
packed 8-bit RGB buffer, which is copied out as a numpy array; `text` then takes the page's text (get_text_range), `boxes`
also the words with their boxes (a call for each character, as pypdfium2 offers it). Opening the files counts, importing
does not."""

import sys
import time

import numpy
import pypdfium2 as pdfium
import pypdfium2.raw as raw

what, width, height, files = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
FLAGS = raw.FPDF_ANNOT | raw.FPDF_REVERSE_BYTE_ORDER


def draw(page):
    bitmap = pdfium.PdfBitmap.new_native(width, height, raw.FPDFBitmap_BGR, rev_byteorder=True)
    bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
    raw.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, FLAGS)
    return numpy.array(bitmap.to_numpy())


def words(textpage, text):
    found, start = [], None
    for index, character in enumerate(text + " "):
        if not character.isspace():
            start = index if start is None else start
        elif start is not None:
            boxes = [textpage.get_charbox(at) for at in range(start, index)]
            lows, highs = zip(*((b[0], b[1]) for b in boxes)), zip(*((b[2], b[3]) for b in boxes))
            found.append((text[start:index], [min(side) for side in lows], [max(side) for side in highs]))
            start = None
    return found


begin = time.perf_counter()
for file in files:
    document = pdfium.PdfDocument(file)
    for page in document:
        pixels = draw(page)
        textpage = page.get_textpage()
        text = textpage.get_text_range()
        assert pixels.shape == (height, width, 3) and len(text) > 1000
        if what == "boxes":
            assert len(words(textpage, text)) > 300
print(time.perf_counter() - begin)
