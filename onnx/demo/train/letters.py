"""Typefaces, and lines of text put on a canvas with the place of each character."""
import functools
import pathlib
import site

from PIL import ImageFont

PACKAGES = [pathlib.Path(folder) for folder in site.getsitepackages()]
SYSTEM = pathlib.Path("/usr/share/fonts/truetype")
FAMILIES = {
    "mono": ["DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf", "LiberationMono-Regular.ttf", "LiberationMono-Bold.ttf"],
    "sans": ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansCondensed.ttf", "LiberationSans-Regular.ttf",
             "LiberationSans-Bold.ttf", "LiberationSansNarrow-Regular.ttf", "Roboto-Regular.ttf", "Roboto-Medium.ttf",
             "Roboto-Bold.ttf", "SourceSansPro-Regular.ttf", "SourceSansPro-Semibold.ttf"],
    "serif": ["DejaVuSerif.ttf", "LiberationSerif-Regular.ttf", "LiberationSerif-Bold.ttf", "SourceSerifPro-Regular.ttf",
              "Caladea-Regular.ttf", "Caladea-Bold.ttf"],
    # Never trained on: to see where reading ends.
    "unseen": ["Manrope-Regular.ttf", "DejaVuSerifCondensed.ttf"],
}


@functools.cache
def files():
    """Where each typeface of the families lies."""
    wanted = {name for names in FAMILIES.values() for name in names}
    found = {path.name: path for root in [SYSTEM, *PACKAGES] if root.exists() for path in root.rglob("*.ttf")}
    missing = sorted(wanted - found.keys())
    if missing:
        raise SystemExit(f"typefaces are missing: {missing}; see requirements.txt")
    return found


@functools.lru_cache(maxsize=4096)
def font(name, size):
    """A typeface in a size, in pixels."""
    return ImageFont.truetype(files()[name], size, layout_engine=ImageFont.Layout.BASIC)


@functools.lru_cache(maxsize=200_000)
def advance(name, size, character):
    """The width of one character, in pixels."""
    return font(name, size).getlength(character)


def width(name, size, text):
    """The width of a text, without kerning."""
    return sum(advance(name, size, character) for character in text)


def write(canvas, name, size, x, y, text, ink):
    """Writes one line whose ascent begins at y; gives (character, centre x, centre y) for all that leave ink."""
    face = font(name, size)
    middle = y + face.getmetrics()[0] - 0.33 * size
    placed = []
    for character in text:
        step = advance(name, size, character)
        if character != " ":
            canvas.text((x, y), character, font=face, fill=ink)
            placed.append((character, x + step / 2, middle))
        x += step
    return placed
