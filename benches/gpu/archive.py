"""What the extraction of whole pages reads: PDFs of one A4 page each, no two alike, and the pipeline that asks for
them.

The pages are those of benches/decode: 45 lines of text, a ruled table and a few filled shapes.
"""

WORDS = ("quartz", "garnet", "beryl", "opal", "agate", "topaz", "zircon", "spinel", "jasper", "onyx", "pyrite", "galena",
         "talc", "mica", "gypsum", "halite")

PIPELINE = """\
# Whole pages, to measure with: answers of a model with random weights, ended by their allowance.
name = "gpu"
allowed_failures = 0.0

[decode]
text_layer = false

[encode]
budget = {budget}
system = "You read invoices. You copy values exactly as they are printed and never guess: what is not there is null."
prompt = "Extract the fields of this invoice. Dates as YYYY-MM-DD, amounts as plain numbers."

[generate]
max_tokens = {allowance}
temperature = 0.0
slots = {slots}
context = {context}
prefill_chunk = {chunk}

[parse]
schema = "{schema}"
"""


def pages(folder, count, first=0):
    """Writes so many files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        (folder / f"{number:05}.pdf").write_bytes(document(number))
    return folder


def document(seed):
    """The bytes of a PDF of one page."""
    content = page(seed)
    resources = "/Resources << /Font << /F 3 0 R >> >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595.28 841.89] {resources} /Contents 5 0 R >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
    ]
    out, table = "%PDF-1.4\n", "0000000000 65535 f \n"
    for index, one in enumerate(objects):
        table += f"{len(out):010} 00000 n \n"
        out += f"{index + 1} 0 obj\n{one}\nendobj\n"
    start, size = len(out), len(objects) + 1
    out += f"xref\n0 {size}\n{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    return out.encode("ascii")


def page(seed):
    """What is drawn on it."""
    lines = ["0.12 0.43 0.54 rg 56 780 90 24 re f 0.9 0.93 0.94 rg 160 780 380 24 re f 0 g"]
    lines += [f"0.5 w 56 {120 + 18 * row} m 540 {120 + 18 * row} l S" for row in range(9)]
    lines.append("BT /F 9.5 Tf 12.5 TL 56 760 Td")
    for line in range(45):
        words = " ".join(WORDS[(seed * 7 + line * 5 + at * at * 3) % len(WORDS)] for at in range(11))
        lines.append(f"({words} {seed * 45 + line}.) Tj T*")
    return "\n".join([*lines, "ET"])
