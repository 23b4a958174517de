"""The demo's tokenizer: characters, and what stands between the values of its answers as one token each.

The frame of a record (`","date":"` and so on) is reached through a chain of merges that begins with a sign, so that
no word of a document is ever merged and a value is always spelt letter by letter. All special tokens of Gemma 4 are there.
"""
import json

from tokenizers import Tokenizer

from shared import tokenizer_file

CHARACTERS = ["\n", "\t", "▁", *(chr(code) for code in range(0x21, 0x7F)), *"€£äöüÄÖÜßéèàç"]
FRAMES = [
    '{"merchant":"', '","date":"', '","number":"', '","currency":"', '","items":[', '{"description":"', '","quantity":',
    ',"amount":', '},', '}]', ',"total":', '{"text":"', '"}', "\\n",
    '{"vendor":"', '","invoice_number":"', '","due_date":"', '","line_items":[', ',"unit_price":', ',"subtotal":', ',"tax":',
    '","total":',
]
VOCABULARY = 1024

# What the model was trained to be asked, behind the picture.
RECEIPT, TEXT = "Read the receipt.", "Read the text."


def merges():
    """The chains: each merge adds one character to the frame begun so far."""
    chain = dict.fromkeys((frame[:length], frame[length]) for frame in FRAMES for length in range(1, len(frame)))
    return [list(pair) for pair in chain]


class Speller:
    """Texts to ids and back, and the prompt around a picture."""

    def __init__(self):
        self.file, self.ids = tokenizer_file(CHARACTERS, merges(), VOCABULARY)
        self.tokenizer = Tokenizer.from_str(json.dumps(self.file))

    def spell(self, text):
        """The ids of a text."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def prompt(self, soft_tokens, task):
        """The ids before the answer: the chat template of the E models with one picture and no system turn."""
        ids = self.ids
        before = [ids["<bos>"], ids["<|turn>"], *self.spell("user\n"), ids["<|image>"]]
        behind = [ids["<image|>"], *self.spell(task), ids["<turn|>"], *self.spell("\n"), ids["<|turn>"], *self.spell("model\n")]
        return before + [ids["<|image|>"]] * soft_tokens + behind

    def answer(self, text):
        """The ids of an answer with the end of its turn."""
        return [*self.spell(text), self.ids["<turn|>"]]


if __name__ == "__main__":
    speller = Speller()
    from receipts import draw
    from wording import TRAINING, dice
    text = draw(dice(1), TRAINING).record()
    print(text, [speller.tokenizer.id_to_token(i) for i in speller.answer(text)], sep="\n")
    assert speller.tokenizer.decode(speller.spell(text)) == text
