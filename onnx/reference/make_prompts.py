"""What transformers makes of chats: the prompts that the built-in chat template is held against.

python make_prompts.py TEMPLATE.jinja OUT.json   renders each case below with `apply_chat_template` of a checkpoint's own
template (the E models' has no empty thought before the answer: pass theirs, or a large model's, whose empty thought is
taken off), and writes the text of each prompt under its name. Image, audio and video stand as one soft token each.
"""
import json
import pathlib
import sys

from transformers import PreTrainedTokenizerFast

FOLDER = pathlib.Path(__file__).parent
EMPTY_THOUGHT = "<|channel>thought\n<channel|>"
SCHEMA = {
    "type": "function",
    "function": {
        "name": "record",
        "description": "What a parcel says",
        "parameters": {
            "type": "object",
            "properties": {
                "sender": {"type": "string", "description": "Who sends it, \"as printed\""},
                "weight": {"type": "number", "nullable": True},
                "Kind": {"type": "string", "enum": ["letter", "parcel"]},
                "paid": {"type": "boolean", "description": "True when stamped"},
                "address": {
                    "type": "object",
                    "properties": {"street": {"type": "string"}, "number": {"type": "integer"}},
                    "required": ["street"],
                },
                "items": {
                    "type": "array",
                    "description": "What is inside",
                    "items": {
                        "type": "object",
                        "properties": {"what": {"type": "string"}, "count": {"type": "integer", "nullable": True}},
                        "required": ["what"],
                    },
                },
                "marks": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
            },
            "required": ["sender", "address", "items"],
        },
    },
}
CASES = {
    f"{medium}{' system' if system else ''}{' thinking' if thinking else ''}{' tools' if tools else ''}":
        (medium, system, thinking, tools)
    for medium in ("text", "image", "audio", "video")
    for system in (False, True)
    for thinking in (False, True)
    for tools in (False, True)
}


def tokenizer(template):
    """The tiny tokenizer with that template: of a tokenizer, templates see only the spellings."""
    made = PreTrainedTokenizerFast(tokenizer_file=str(FOLDER / "tiny/tokenizer.json"), bos_token="<bos>")
    made.chat_template = template
    return made


def prompt(made, medium, system, thinking, tools):
    """One prompt as text."""
    content = [] if medium == "text" else [{"type": medium}]
    messages = [{"role": "user", "content": content + [{"type": "text", "text": "Read this."}]}]
    if system:
        messages.insert(0, {"role": "system", "content": "You read parcels."})
    text = made.apply_chat_template(
        messages, tools=[SCHEMA] if tools else None, enable_thinking=thinking, add_generation_prompt=True, tokenize=False
    )
    return text.removesuffix(EMPTY_THOUGHT)


def main(template, out):
    """Writes the prompts."""
    made = tokenizer(pathlib.Path(template).read_text(encoding="utf-8"))
    prompts = {name: prompt(made, *case) for name, case in CASES.items()}
    text = json.dumps({"function": SCHEMA, "prompts": prompts}, ensure_ascii=False, indent=1)
    pathlib.Path(out).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
