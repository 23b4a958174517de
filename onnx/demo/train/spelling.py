"""The demo's tokenizer: characters, and what stands between the values of its answers as one token each.

The frame of a record (`","date":"` and so on) is reached through a chain of merges that begins with a sign, so that
no word of a document is ever merged and a value is always spelt letter by letter. All special tokens of Gemma 4 are there.
"""
import json

from tokenizers import Tokenizer

BEFORE = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>",
          "<|tool_response>", "<tool_response|>", '<|"|>', "<|think|>", "<|channel>", "<channel|>", "<|turn>", "<turn|>"]
BEHIND = ["<|image>", "<|audio>", "<|image|>", "<|audio|>", "<image|>", "<audio|>", "<|video|>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
CHARACTERS = ["\n", "\t", "▁", *(chr(code) for code in range(0x21, 0x7F)), *"€£äöüÄÖÜßéèàç"]
FRAMES = [
    '{"merchant":"', '","date":"', '","number":"', '","currency":"', '","items":[', '{"description":"', '","quantity":',
    ',"amount":', '},', '}]', ',"total":', '{"text":"', '"}', "\\n",
    '{"vendor":"', '","invoice_number":"', '","due_date":"', '","line_items":[', ',"unit_price":', ',"subtotal":', ',"tax":',
]
VOCABULARY = 1024

# What the model was trained to be asked, behind the picture.
RECEIPT, TEXT = "Read the receipt.", "Read the text."


def merges():
    """The chains: each merge adds one character to the frame begun so far."""
    chain = {}
    for frame in FRAMES:
        for length in range(1, len(frame)):
            chain[(frame[:length], frame[length])] = None
    return list(chain)


def tokenizer():
    """tokenizer.json in the shape of Gemma 4's, and its ids."""
    pairs = merges()
    pieces = list(dict.fromkeys("".join(pair) for pair in pairs))
    tokens = BEFORE + BYTES + CHARACTERS + pieces
    tokens += [f"<unused{n}>" for n in range(VOCABULARY - len(BEHIND) - len(tokens))] + BEHIND
    assert len(tokens) == len(set(tokens)) == VOCABULARY, len(tokens)
    ids = {token: place for place, token in enumerate(tokens)}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": ids[token], "content": token, **flags} for token in BEFORE + BEHIND],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                  "vocab": ids, "merges": [list(pair) for pair in pairs]},
    }, ids


class Speller:
    """Texts to ids and back, and the prompt around a picture."""

    def __init__(self):
        self.file, self.ids = tokenizer()
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
