"""Receipts: what was bought, and the lines a till would print of it. The truth is the record that
schemas/receipt-head.json asks for, in its order."""
import datetime
from dataclasses import dataclass, field

from wording import doubled, goods, invented, shop

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
SIGNS = {"EUR": "€", "USD": "$", "GBP": "£"}
CURRENCIES = ["EUR"] * 5 + ["USD"] * 4 + ["GBP"] * 3 + ["CHF", "SEK", "DKK", "PLN", "CAD"]


@dataclass
class Line:
    """One printed line: text at the left, at the right, or in the middle when `right` is None and `centred`."""
    left: str = ""
    right: str = ""
    centred: bool = False
    large: bool = False
    rule: bool = False


@dataclass
class Receipt:
    """What was bought."""
    merchant: str
    date: datetime.date
    number: str
    currency: str
    items: list = field(default_factory=list)

    @property
    def total(self):
        """In cents."""
        return sum(cents for _, _, cents in self.items)

    def record(self):
        """The truth, as the answer spells it: compact JSON, amounts with two decimals."""
        return (f'{{"merchant":"{self.merchant}","date":"{self.date.isoformat()}","number":"{self.number}",'
                f'"currency":"{self.currency}","total":{money(self.total)}}}')


def money(cents, point="."):
    """An amount with two decimals."""
    return f"{cents // 100}{point}{cents % 100:02}"


def draw(dice, lists, most_items=4):
    """A receipt by chance."""
    day = datetime.date(1995, 1, 1) + datetime.timedelta(days=dice.randrange(365 * 40))
    receipt = Receipt(shop(dice, lists), day, doubled(dice, lists, number(dice)), dice.choice(CURRENCIES))
    for _ in range(dice.randint(1, most_items)):
        count = 1 if dice.random() < 0.6 else dice.randint(2, 12)
        each = int(doubled(dice, lists, str(dice.randint(5, 10 ** dice.choice([3, 3, 4, 4, 5]) - 1))))
        receipt.items.append((goods(dice, lists), count, count * each))
    return receipt


def number(dice):
    """A receipt's number: digits, sometimes with letters and dashes."""
    form = dice.random()
    digits = "".join(dice.choice("0123456789") for _ in range(dice.randint(3, 8)))
    if form < 0.5:
        return digits
    if form < 0.75:
        return f"{dice.choice('ABCDEFGHKLMNPRSTUVWXZ')}-{digits}"
    return f"{digits[:3]}{dice.choice('-/')}{digits[3:] or '0'}"


def written(dice, day, currency):
    """A day as tills write it; month and day are never left to a guess."""
    forms = [day.isoformat(), f"{day.day} {MONTHS[day.month - 1]} {day.year}"]
    if currency in ("USD", "CAD"):
        forms += [f"{MONTHS[day.month - 1]} {day.day}, {day.year}"]
    else:
        forms += [f"{day.day:02}.{day.month:02}.{day.year}"] * 2
    return dice.choice(forms)


def lines(dice, lists, receipt):
    """The lines of the receipt, top to bottom, among others that say nothing of it."""
    shown = [Line(receipt.merchant, centred=dice.random() < 0.6, large=dice.random() < 0.5)]
    middle = shown[0].centred
    if dice.random() < 0.6:
        shown.append(Line(dice.choice(lists["street"]), centred=middle))
    if dice.random() < 0.3:
        shown.append(Line(f"Tel {dice.randint(10**5, 10**9)}", centred=middle))
    if dice.random() < 0.4:
        shown.append(Line(rule=True))
    shown += heading(dice, lists, receipt)
    if dice.random() < 0.5:
        shown.append(Line(rule=True))
    point = "," if receipt.currency in ("EUR", "DKK", "SEK", "PLN") and dice.random() < 0.4 else "."
    sign = dice.choice(["none", "none", "sign", "code"])
    for name, count, cents in receipt.items:
        shown += item(dice, receipt, name, count, amount(receipt, cents, point, sign == "sign" and dice.random() < 0.9))
    if dice.random() < 0.5:
        shown.append(Line(rule=True))
    return shown + footing(dice, lists, receipt, point)


def amount(receipt, cents, point, signed):
    """An amount with the sign of its currency, where there is one."""
    return (SIGNS.get(receipt.currency, "") if signed else "") + money(cents, point)


def heading(dice, lists, receipt):
    """Date and number, in either order, in one line or two."""
    day = written(dice, receipt.date, receipt.currency)
    if dice.random() < 0.5:
        day = f"{dice.choice(['Date', 'Date:', 'Datum:', 'Day:'])} {day}"
    if dice.random() < 0.25:
        day = f"{day} {dice.randint(8, 21):02}:{dice.randint(0, 59):02}"
    label = dice.choice(["No.", "No:", "Receipt", "Receipt no.", "Bon", "Nr.", "Ref", "#", "Ticket", "Trans:"])
    label = f"{label}{'' if label == '#' else ' '}{receipt.number}"
    form = dice.random()
    if form < 0.3 and len(day) + len(label) < 27:
        return [Line(day, label)] if dice.random() < 0.5 else [Line(label, day)]
    both = [Line(day), Line(label)]
    if dice.random() < 0.5:
        both.reverse()
    if form > 0.8:
        both.insert(dice.randint(0, 2), Line(f"{dice.choice(['Cashier', 'Till', 'Clerk'])} {dice.choice([str(dice.randint(1, 20)), invented(dice, lists)])}"))
    return both


def item(dice, receipt, name, count, price):
    """One item: quantity before or behind, or in a line of its own."""
    if count == 1:
        return [Line(f"1 {name}" if dice.random() < 0.15 else name, price)]
    form = dice.random()
    if form < 0.5:
        return [Line(f"{count}{dice.choice([' ', ' x ', 'x '])}{name}", price)]
    return [Line(f"{name} {dice.choice(['x', 'x '])}{count}", price)]


def footing(dice, lists, receipt, point):
    """The total, with the currency said at least once, and what comes behind it."""
    label = dice.choice(["TOTAL", "Total", "Total:", "Sum", "SUMME", "Amount due", "To pay", "Total due"])
    said = dice.random()
    sign = SIGNS.get(receipt.currency)
    if sign and said < 0.4:
        shown = [Line(label, f"{sign}{money(receipt.total, point)}", large=dice.random() < 0.4)]
    elif said < 0.75:
        shown = [Line(f"{label} {receipt.currency}", money(receipt.total, point), large=dice.random() < 0.3)]
    else:
        shown = [Line(label, f"{money(receipt.total, point)} {receipt.currency}")]
    form = dice.random()
    if form < 0.3:
        given = receipt.total + dice.randint(0, 5000)
        shown += [Line("Cash", money(given, point)), Line("Change", money(given - receipt.total, point))]
    elif form < 0.5:
        shown += [Line(dice.choice(["Card", "VISA", "Maestro"]), money(receipt.total, point))]
    if dice.random() < 0.25:
        rate = dice.choice([5, 7, 8, 19, 20, 21])
        shown += [Line(f"{dice.choice(['VAT', 'Tax', 'MwSt'])} {rate}%", money(receipt.total * rate // (100 + rate), point))]
    if dice.random() < 0.5:
        shown += [Line(dice.choice(lists["thanks"]), centred=True)]
    return shown
