"""Invoices: what is billed, and the page that says so: a letterhead, to whom, a table with prices, tax, a total, and how to
pay. The truth is the record of a receipt (schemas/receipt-head.json): who sends it, when, its number, currency, total."""
from dataclasses import dataclass

import letters
import pages
import receipts
from wording import doubled, invented, shop


@dataclass
class Invoice(receipts.Receipt):
    """What is billed; each of the items has its price and its number, and `rate` percent of tax are added."""
    rate: int = 0

    @property
    def net(self):
        """Without tax, in cents."""
        return sum(cents for _, _, cents in self.items)

    @property
    def tax(self):
        """Rounded half up, in cents."""
        return (self.net * self.rate + 50) // 100

    @property
    def total(self):
        """In cents."""
        return self.net + self.tax


def draw(dice, lists, most_items=4):
    """An invoice by chance."""
    bought = receipts.draw(dice, lists, most_items)
    return Invoice(bought.merchant, bought.date, doubled(dice, lists, number(dice, bought.date.year)), bought.currency, bought.items,
                   dice.choice([0, 5, 7, 8, 19, 20, 21, 25]))


def number(dice, year):
    """An invoice's number: often with a word before it, or the year."""
    digits = "".join(dice.choice("0123456789") for _ in range(dice.randint(3, 6)))
    return dice.choice([digits, f"INV-{digits}", f"{year}-{digits}", f"RE{digits}", f"{year}/{digits}", f"F-{digits}"])


def set_invoice(dice, lists, invoice, size):
    """The page, type of that size in pixels; gives sheet, width, height."""
    sheet, page = pages.Sheet(dice), Page(size * dice.uniform(26, 34), size * dice.uniform(1.2, 1.6), size)
    page.left = page.down = size * dice.uniform(1, 3)
    letterhead(dice, lists, invoice, sheet, page)
    about(dice, lists, invoice, sheet, page)
    point = "," if invoice.currency in ("EUR", "DKK", "SEK", "PLN") and dice.random() < 0.4 else "."
    table(dice, invoice, sheet, page, point)
    sums(dice, invoice, sheet, page, point)
    page.skip(dice.uniform(0.5, 1.5))
    if dice.random() < 0.7:
        page.put(sheet, dice.choice(["Payable within 14 days", "Please pay by transfer", "Net 30 days", *lists["thanks"]]))
    if dice.random() < 0.5:
        page.put(sheet, f"IBAN {dice.choice(['DE', 'FR', 'GB', 'NL'])}{dice.randint(10**9, 10**12)}")
    return sheet, page.left * 2 + page.wide, page.down + size * dice.uniform(0.5, 3)


class Page:
    """How far down the page is written, and how wide its lines are."""

    def __init__(self, wide, pitch, size):
        self.wide, self.pitch, self.size, self.left, self.down = wide, pitch, size, 0.0, 0.0

    def skip(self, lines=1.0):
        """So many lines further down."""
        self.down += self.pitch * lines

    def put(self, sheet, left="", right="", grown=1.0, indent=0.0):
        """One line: text at the left and at the right edge."""
        size = int(self.size * grown)
        if left:
            sheet.line(self.left + indent, self.down, size, left)
        if right:
            sheet.line(self.left + self.wide - letters.width(sheet.face, size, right), self.down, size, right)
        self.down += max(0, size - self.size)
        self.skip()


def letterhead(dice, lists, invoice, sheet, page):
    """Who sends it, and the word that says what it is."""
    title = dice.choice(["INVOICE", "Invoice", "RECHNUNG", "Rechnung", "FACTURE", "Tax Invoice"])
    grown = min(dice.uniform(1.0, 1.6), page.wide * 0.55 / letters.width(sheet.face, page.size, invoice.merchant))
    beside = dice.random() < 0.5
    page.put(sheet, invoice.merchant, title if beside else "", max(grown, 0.9))
    for line in dice.sample([dice.choice(lists["street"]), f"Tel {dice.randint(10**5, 10**9)}", f"VAT ID {dice.randint(10**6, 10**9)}"], dice.randint(0, 2)):
        page.put(sheet, line)
    if not beside:
        page.skip(0.5)
        page.put(sheet, title, grown=dice.uniform(1.0, 1.5))
    page.skip(0.5)


def about(dice, lists, invoice, sheet, page):
    """To whom, and beside or below it number and dates."""
    to = [dice.choice(["Bill to", "To:", "Customer", "An"]), dice.choice([f"{invented(dice, lists)} {invented(dice, lists)}", shop(dice, lists)]), dice.choice(lists["street"])]
    day = receipts.written(dice, invoice.date, invoice.currency)
    said = [(dice.choice(["Invoice no.", "Invoice No:", "Number", "Rechnung Nr.", "No.", "Invoice #"]), invoice.number),
            (dice.choice(["Date", "Date:", "Invoice date", "Datum", "Issued"]), day)]
    dice.shuffle(said)
    if dice.random() < 0.4:
        said.append((dice.choice(["Customer no.", "Order", "Your ref"]), str(dice.randint(100, 99999))))
    if dice.random() < 0.5:
        for row in range(max(len(to), len(said))):
            label, value = said[row] if row < len(said) else ("", "")
            page.put(sheet, to[row][:18] if row < len(to) else "", f"{label} {value}".strip())
    else:
        for line in to:
            page.put(sheet, line)
        page.skip(0.3)
        for label, value in said:
            page.put(sheet, f"{label} {value}")
    page.skip(0.5)


def table(dice, invoice, sheet, page, point):
    """What is billed: name, number, price, and the product of both."""
    columns = [page.wide * share for share in (0.62, 0.80)]
    heads = dice.choice([("Item", "Qty", "Price", "Amount"), ("Description", "Qty", "Unit", "Total"), ("Artikel", "Menge", "Preis", "Betrag")])
    row(sheet, page, columns, heads)
    if dice.random() < 0.5:
        page.put(sheet, "-" * int(page.wide / letters.advance(sheet.face, page.size, "-")))
    for name, count, cents in invoice.items:
        row(sheet, page, columns, (name, str(count), receipts.money(cents // count, point), receipts.money(cents, point)))
    page.skip(0.4)


def row(sheet, page, columns, cells):
    """One line of the table; numbers end where their column does."""
    name, *middle, last = cells
    for text, end in zip(middle, columns):
        sheet.line(page.left + end - letters.width(sheet.face, page.size, text), page.down, page.size, text)
    page.put(sheet, name, last)


def sums(dice, invoice, sheet, page, point):
    """Net, tax and total; the currency stands at the total."""
    indent = page.wide * dice.choice([0.0, 0.45, 0.5])
    if invoice.rate or dice.random() < 0.5:
        page.put(sheet, dice.choice(["Subtotal", "Net", "Netto"]), receipts.money(invoice.net, point), indent=indent)
        page.put(sheet, f"{dice.choice(['VAT', 'Tax', 'MwSt'])} {invoice.rate}%", receipts.money(invoice.tax, point), indent=indent)
    label, sign = dice.choice(["Total", "TOTAL", "Total due", "Gesamt", "Amount due"]), receipts.SIGNS.get(invoice.currency)
    total = receipts.money(invoice.total, point)
    if sign and dice.random() < 0.4:
        page.put(sheet, label, f"{sign}{total}", indent=indent)
    elif dice.random() < 0.6:
        page.put(sheet, f"{label} {invoice.currency}", total, indent=indent)
    else:
        page.put(sheet, label, f"{total} {invoice.currency}", indent=indent)
