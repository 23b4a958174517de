"""What the tokenizers of our small models share: the special tokens of Gemma 4, the shape of its tokenizer.json, and what
configurations call its tokens."""

BEFORE = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>",
          "<|tool_response>", "<tool_response|>", '<|"|>', "<|think|>", "<|channel>", "<channel|>", "<|turn>", "<turn|>"]
BEHIND = ["<|image>", "<|audio>", "<|image|>", "<|audio|>", "<image|>", "<audio|>", "<|video|>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def tokenizer_file(characters, merges, size):
    """tokenizer.json in the shape of Gemma 4's, and its ids: special tokens, bytes, characters, what the merges make, and
    unused ones up to `size`."""
    tokens = BEFORE + BYTES + characters + list(dict.fromkeys("".join(pair) for pair in merges))
    tokens += [f"<unused{n}>" for n in range(size - len(BEHIND) - len(tokens))] + BEHIND
    assert len(tokens) == len(set(tokens)) == size, len(tokens)
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
                  "vocab": ids, "merges": merges},
    }, ids


def named(ids):
    """The ids by what configurations call them."""
    return {
        "pad": ids["<pad>"], "eos": ids["<eos>"], "bos": ids["<bos>"], "image": ids["<|image|>"],
        "video": ids["<|video|>"], "audio": ids["<|audio|>"], "begin_image": ids["<|image>"],
        "end_image": ids["<image|>"], "begin_audio": ids["<|audio>"], "end_audio": ids["<audio|>"],
    }


def generation(ids):
    """What generation_config.json says of them."""
    return {"pad_token_id": ids["<pad>"], "bos_token_id": ids["<bos>"],
            "eos_token_id": [ids["<eos>"], ids["<turn|>"], ids["<|tool_response>"]]}
