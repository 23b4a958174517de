"""Words: what shops, goods and streets are called. Many are made up, so that a reader cannot know them; the others are drawn
from lists, of which the held-out set has its own."""
import random
import string

TRAINING = {
    "invented": 0.7, "coined": 0.6, "doubled": 0.3,
    "shop": "Market Bakery Store Cafe Books Foods Deli Garden Hardware Kiosk Pharmacy Bistro Grocery Tools Flowers Sports "
            "Toys Coffee Butcher Station Center Outlet Corner Express Kitchen Music Bikes Paper".split(),
    "front": "Green Blue North South Old New Royal City Harbor Golden Silver Little Corner Central Sunny Happy River Lake "
             "Forest Mill Stone Bridge Castle Star Moon Red Black White Oak Maple Lucky Prime".split(),
    "goods": "Milk Bread Butter Cheese Eggs Apples Bananas Tomato Potato Onion Rice Pasta Coffee Tea Sugar Salt Flour Honey "
             "Juice Water Beer Wine Chips Soap Shampoo Towel Candle Battery Pen Notebook Paper Envelope Tape Glue Hammer "
             "Nails Screws Paint Brush Rope Lamp Cable Socks Gloves Scarf Hat Shirt Belt Roses Tulip Seeds Soup Salad "
             "Burger Pizza Fries Cola Muffin Bagel Donut Cake Yogurt Cream Ham Salmon Tuna Beans Corn Pepper".split(),
    "kind": "Large Small Fresh Organic Whole Light Dark Sweet Extra Mini Classic Green Red Hot Cold Double Plain Mixed "
            "Fine Family".split(),
    "street": "Main St,High Street,Park Ave,Station Rd,Church Lane,Market Sq,Mill Road,Lindenweg 4,Hauptstr.,Rue Verte,"
              "King St,Elm Street,2nd Ave,Oak Drive,Bahnhofstr.,River Walk".split(","),
    "thanks": "Thank you!,Thanks for your visit,Please come again,Have a nice day,See you soon,Vielen Dank!,Merci!,"
              "Keep this receipt,No refunds,Open daily 9-18,Visit us online,www.example.com".split(","),
}
HELD_OUT = {
    "invented": 0.5, "coined": 0.0, "doubled": 0.0,
    "shop": "Emporium Pantry Depot Trading Workshop Larder Boutique Stationers Nursery Fishmonger".split(),
    "front": "Amber Quarry Willow Falcon Copper Meadow Summit Velvet Orchard Cobalt Juniper Hazel".split(),
    "goods": "Walnut Lentils Oatmeal Mustard Vinegar Zucchini Basil Almonds Ribbon Stapler Folder Marker Spanner Bucket "
             "Sponge Kettle Umbrella Jacket Sandals Orchid Waffle Pretzel Granola Ginger Raisins Olives".split(),
    "kind": "Roasted Smoked Crunchy Frozen Grand Dried Soft Vintage".split(),
    "street": "Quay Road,Abbey Close,Tower Hill,Gartenweg 9,Rue Neuve,Juniper Way".split(","),
    "thanks": "We hope to see you again,Danke und bis bald,Enjoy your day,Goods can be returned in 14 days".split(","),
}
VOWELS, CONSONANTS = "aeiou", "bcdfghjklmnprstvwxyz"
ONSETS = [*CONSONANTS, *"bl br ch cl cr dr fl fr gl gr kn ph pl pr qu sc sch sh sk sl sm sn sp st str sw th tr tw wh wr".split()]
NUCLEI = [*VOWELS * 4, *"ai au ea ee ei ie oa oo ou ow ue y".split()]
CODAS = [""] * 30 + "b ck d ff ft g k l ld ll lt m mp n nd ng nk nn nt p r rch rd rk rl rm rn rry rs rt s sh sp ss st t th tt w x y".split()


def coined(dice, shortest, longest):
    """A word as languages have them, with letters that come in pairs and groups."""
    made = ""
    while len(made) < shortest:
        middle = dice.choice("bcdfglmnprst") * 2 if made[-1:] in tuple(VOWELS) and dice.random() < 0.35 else dice.choice(ONSETS)
        made += middle + dice.choice(NUCLEI) + dice.choice(CODAS)
    return made[:longest].capitalize()


def invented(dice, lists, shortest=3, longest=8):
    """A word that nobody knows: mostly syllables, now and then any letters. Of those to learn from, most are coined."""
    if lists["coined"] and dice.random() < lists["coined"]:
        return coined(dice, dice.randint(shortest, longest), longest + 4)
    length = dice.randint(shortest, longest)
    if dice.random() < 0.25:
        letters = [dice.choice(string.ascii_lowercase) for _ in range(length)]
    else:
        start = dice.random() < 0.3
        letters = [dice.choice(VOWELS if (place + start) % 2 else CONSONANTS) for place in range(length)]
    return "".join(letters).capitalize()


def doubled(dice, lists, text):
    """The text, now and then with one of its signs in the place of its neighbour too: pairs are what a reader loses first."""
    if not lists["doubled"] or len(text) < 2 or dice.random() >= lists["doubled"]:
        return text
    place = dice.randrange(len(text) - 1)
    first, next_ = text[place], text[place + 1]
    alike = first.isdigit() and next_.isdigit() or first.isalpha() and next_.isalpha()
    return text[: place + 1] + (first.lower() if next_.islower() else first) + text[place + 2:] if alike else text


def word(dice, lists, which):
    """A word of that list, or an invented one."""
    return doubled(dice, lists, invented(dice, lists)) if dice.random() < lists["invented"] else dice.choice(lists[which])


def trade(dice, lists):
    """What kind of shop it is."""
    return invented(dice, lists, 4) if lists["coined"] and dice.random() < lists["coined"] else dice.choice(lists["shop"])


def shop(dice, lists):
    """A shop's name of one to three words."""
    form = dice.random()
    if form < 0.5:
        return f"{word(dice, lists, 'front')} {trade(dice, lists)}"
    if form < 0.65:
        return f"{invented(dice, lists, 4, 9)}"
    if form < 0.8:
        return f"{invented(dice, lists)} & {invented(dice, lists)}"
    if form < 0.9:
        return f"{word(dice, lists, 'front')} {word(dice, lists, 'shop')} {dice.choice(['Ltd', 'GmbH', 'Inc', 'Co'])}"
    return f"{trade(dice, lists)} {dice.randint(1, 99)}"


def goods(dice, lists):
    """What is sold: one or two words, now and then with a measure."""
    name = word(dice, lists, "goods")
    form = dice.random()
    if form < 0.35:
        name = f"{dice.choice(lists['kind'])} {name}"
    elif form < 0.45:
        name = f"{name} {dice.choice(['1L', '500g', '2kg', '6x', '250ml', '12pc', 'No.3', 'XL'])}"
    return name


def prose(dice, lists, length):
    """Words, numbers and signs of about that many characters."""
    parts = []
    while sum(map(len, parts)) + len(parts) < length:
        form = dice.random()
        if form < 0.62:
            text = word(dice, lists, dice.choice(["shop", "front", "goods", "kind"]))
            text = text.lower() if dice.random() < 0.6 else text.upper() if dice.random() < 0.25 else text
        elif form < 0.82:
            text = doubled(dice, lists, str(dice.randint(0, 10 ** dice.randint(1, 6))))
        elif form < 0.92:
            text = f"{dice.randint(0, 999)}{dice.choice('.,')}{dice.randint(0, 99):02}"
        else:
            text = "".join(dice.choice(string.ascii_letters + string.digits + "-/.:,#&%+*()!?€$£") for _ in range(dice.randint(2, 7)))
        parts.append(text + (dice.choice(",.;:!?") if dice.random() < 0.1 else ""))
    return " ".join(parts)[:length].strip()


def dice(seed):
    """A source of chance of its own."""
    return random.Random(seed)
