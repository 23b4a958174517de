"""The checkpoint of the committed bundle onnx/tiny: random weights, a tokenizer of its own, all special tokens.

python make_tiny.py OUT [SEED]   writes a Hugging Face folder (config.json, generation_config.json, model.safetensors,
tokenizer.json, no chat template) for `lapidary model export OUT onnx/tiny --recipe f32`. Its ids differ from the real model's on
purpose: nothing may know an id by heart.
"""
import json
import pathlib
import sys

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from checkpoint import e_series, random_model, save
from vocabulary import BEFORE, BEHIND, BYTES, generation, named, tokenizer_file

VOCABULARY = 1024
CHARACTERS = ["\n", "\t", "▁", *(chr(code) for code in range(0x21, 0x7F)), *"äöüÄÖÜßéèêàçñøåæ€£§°·–—’“”…"]

TEXT = """\
Read the document and answer with one JSON object that follows this JSON Schema. The answer is written in the language
of the document. Describe the picture in one sentence. Transcribe the following speech segment in its original language.
Only output the transcription, with no newlines. When transcribing numbers, write the digits. What is the total amount
of this invoice, and when is it due? The invoice number is four seven one one, and the total is twelve euros and fifty
cents. Please call me back on Thursday at a quarter past nine. The seller is a company, the buyer is a person. Each line
has a description, a quantity, a unit price and an amount. Thank you for your purchase! Receipt of payment, cash or card.
The video shows a street with people, cars and trees; after some seconds the light changes and the cars drive on.
{"type":"object","properties":{"title":{"type":"string"},"text":{"type":"string"},"language":{"type":"string"},
"date":{"type":"string","format":"date"},"total":{"type":"number"},"count":{"type":"integer"},"items":{"type":"array",
"items":{"type":"object","properties":{"description":{"type":"string"},"quantity":{"type":"integer"},"price":
{"type":"number"}},"required":["description","quantity","price"]}}},"required":["title","text","date","total"],
"additionalProperties":false,"description":"what the page says","enum":["yes","no"],"null":null,"true":true}
Bitte lesen Sie das Dokument und antworten Sie mit einem Gegenstand. Die Rechnung ist bis zum ersten Dezember fällig, der
Betrag enthält die Umsatzsteuer. Vielen Dank für Ihren Einkauf und auf Wiedersehen! Menge, Preis, Summe, Lieferung, Konto.
Merci de votre visite; la facture est payable à la fin du mois. Le montant total comprend la taxe, le transport et l'emballage.
A table with rows and columns, a chart, a map, a signature, a stamp and a photograph of two children near the old harbour.
Monday, Tuesday, Wednesday, Friday, Saturday and Sunday; January, February, March, April, May, June, July, August,
September, October, November and December. Address, city, country, street, telephone, account, bank, reference, customer.
One, two, three, five, six, eight, ten, eleven, thirteen, twenty, thirty, hundred and thousand. Yes, no, true, false, none.
{"title":"Invoice","text":"","language":"en","date":"2026-01-31","total":12.5,"count":3,"items":[{"description":"paper",
"quantity":2,"price":0.5}],"paid":true,"note":null}
"""


def merges(count):
    """Merges learned from the text, none of which crosses a word's border or joins digits."""
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.Replace(" ", "▁")
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("▁", "merged_with_next"), pre_tokenizers.Digits(individual_digits=True),
         pre_tokenizers.Split(Regex(r'[{}\[\]":,._]+'), "isolated")]
    )
    trainer = trainers.BpeTrainer(vocab_size=len(CHARACTERS) + count, initial_alphabet=CHARACTERS, show_progress=False)
    learner.train_from_iterator([" ".join(TEXT.split("\n")), "\n\n"], trainer)
    learned = json.loads(learner.to_str())["model"]
    return learned["merges"]


def tokenizer():
    """tokenizer.json and its ids."""
    words = VOCABULARY - len(BEFORE) - len(BYTES) - len(CHARACTERS) - len(BEHIND)
    return tokenizer_file(CHARACTERS, merges(words), VOCABULARY)


def main(out, seed):
    """Writes the folder."""
    out = pathlib.Path(out)
    vocabulary, ids = tokenizer()
    config = e_series(named(ids), VOCABULARY, hidden=64, per_layer=32, window=64, max_positions=8192, positions=3360)
    model = random_model(config, seed)
    model.generation_config.update(do_sample=True, temperature=1.0, top_k=64, top_p=0.95, **generation(ids))
    save(model, out)
    (out / "tokenizer.json").write_text(json.dumps(vocabulary, ensure_ascii=False, indent=1), encoding="utf-8")
    Tokenizer.from_file(str(out / "tokenizer.json"))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
