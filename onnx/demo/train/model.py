"""The demo's architecture: Gemma 4 of the E series, small, in transformers' own modelling code, and how it is begun.

Beginnings that let it learn (onnx/demo/README.md): the softmax has no 1/sqrt(width), so the norms of queries start at
that; position tables start small, not at one."""
import json
import math
import pathlib

import torch
from torch.nn import functional
from transformers.models.gemma4 import Gemma4Config, Gemma4ForConditionalGeneration, Gemma4TextConfig, Gemma4VisionConfig

from shared import generation, media_ids, named, save
from spelling import VOCABULARY

HIDDEN, SLOTS_ACROSS, SLOTS_DOWN = 256, 6, 3
PLACES = 3360      # patches on a side: a line of the largest picture
TRAINED = 144      # of which training sees these; the rest are none
CONSTANT = 6.0
BOUND = 3.0e4      # of the clipped linears, which training leaves open


def configuration(ids):
    """Per-layer inputs, shared keys and values, two head sizes, double-wide layers that share."""
    kinds = (["sliding_attention"] * 2 + ["full_attention"]) * 2
    text = Gemma4TextConfig(
        vocab_size=VOCABULARY, vocab_size_per_layer_input=VOCABULARY, hidden_size=HIDDEN, intermediate_size=512,
        hidden_size_per_layer_input=32, num_hidden_layers=len(kinds), layer_types=kinds, num_kv_shared_layers=3,
        use_double_wide_mlp=True, num_attention_heads=4, num_key_value_heads=1, head_dim=64, global_head_dim=128,
        sliding_window=1024, max_position_embeddings=2048, final_logit_softcapping=30.0,
        pad_token_id=ids["<pad>"], eos_token_id=ids["<eos>"], bos_token_id=ids["<bos>"],
    )
    vision = Gemma4VisionConfig(
        hidden_size=256, intermediate_size=768, num_hidden_layers=4, num_attention_heads=3, num_key_value_heads=3,
        head_dim=64, position_embedding_size=TRAINED, use_clipped_linears=True,
    )
    return Gemma4Config(
        text_config=text, vision_config=vision, audio_config=None, tie_word_embeddings=True,
        **media_ids(named(ids)),
    )


# Where the heads of each vision layer look at first, in patches from their own.
LEFT, RIGHT, UP, DOWN, HERE = (-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)
LOOKS = [(LEFT, RIGHT, UP), (DOWN, LEFT, RIGHT), (UP, DOWN, HERE), (LEFT, RIGHT, HERE)]


class Reader(torch.nn.Module):
    """The model, with heads that only training has: which characters lie under a soft token, in cells of 8 x 16 pixels
    (`under`), and under a patch before the last layer (`within`); which column and row of the picture a soft token is."""

    def __init__(self, ids, characters, columns=40):
        super().__init__()
        self.ids = ids
        self.gemma = Gemma4ForConditionalGeneration(configuration(ids))
        self.under = torch.nn.Linear(HIDDEN, SLOTS_ACROSS * SLOTS_DOWN * characters)
        self.within = torch.nn.Linear(self.gemma.config.vision_config.hidden_size, SLOTS_ACROSS // 3 * SLOTS_DOWN // 3 * characters)
        self.column, self.row = torch.nn.Linear(HIDDEN, columns), torch.nn.Linear(HIDDEN, columns)
        self.early = []
        self.gemma.model.vision_tower.encoder.layers[-2].register_forward_hook(lambda _, __, out: self.early.append(out))
        self.begin()

    def begin(self):
        """First weights."""
        with torch.no_grad():
            for name, weight in self.gemma.named_parameters():
                if name.endswith("q_norm.weight"):
                    weight.fill_(weight.shape[0] ** -0.5 * (2 if "vision" in name else 1))
                elif name.endswith("position_embedding_table"):
                    weight.copy_(first_places(weight.shape[-1]))
                elif name.endswith("input_proj.weight"):
                    weight.copy_(first_filters(weight.shape[0]))
                elif "embed_tokens" in name:
                    weight.normal_(0, HIDDEN ** -0.5)
                elif weight.ndim == 2:
                    weight.normal_(0, weight.shape[1] ** -0.5)
            for layer, looks in zip(self.gemma.model.vision_tower.encoder.layers, LOOKS):
                look_near(layer.self_attn, looks)
        # Weights, not clamps, are trained: open clamps would only cost time.
        for module in self.gemma.modules():
            if hasattr(module, "use_clipped_linears"):
                module.use_clipped_linears = False

    def see(self, pixels, places, columns, rows):
        """Soft tokens [B, T, HIDDEN], and patches [B, N, width] before the last layer, of pictures of one grid: grey patches
        [B, N, 256] in 0..1, places [B, N, 2]. Pools by shape, as transformers does by place, which must begin at 0 there."""
        tower = self.gemma.model.vision_tower
        whole = torch.zeros(places.shape[:2], dtype=torch.bool)
        patches = tower.patch_embedder(pixels.repeat_interleave(3, dim=-1), places, whole)
        seen = tower.encoder(inputs_embeds=patches, attention_mask=~whole, pixel_position_ids=places).last_hidden_state
        early = self.early.pop()
        cells = seen.view(-1, rows, 3, columns, 3, seen.shape[-1]).float().mean((2, 4)).flatten(1, 2)
        return self.gemma.model.embed_vision(inputs_embeds=cells * seen.shape[-1] ** 0.5), early

    def say(self, tokens, soft):
        """Hidden states [B, S, HIDDEN] of the tokens, with soft tokens where the ids say <|image|>. Padding stands behind and
        nothing looks at it, so that no mask is needed."""
        language = self.gemma.model.language_model
        place = tokens == self.ids["<|image|>"]
        plain = torch.where(place, self.ids["<pad>"], tokens)
        embedded = language.embed_tokens(plain)
        per_layer = language.get_per_layer_inputs(plain, embedded)
        embedded = embedded.masked_scatter(place.unsqueeze(-1), soft.to(embedded.dtype))
        return language(
            inputs_embeds=embedded, per_layer_inputs=per_layer, use_cache=False,
            attention_mask={"full_attention": None, "sliding_attention": None},
            position_ids=torch.arange(tokens.shape[1])[None],
        ).last_hidden_state

    def logits(self, hidden):
        """Scores of the vocabulary."""
        return 30 * torch.tanh(self.gemma.lm_head(hidden) / 30)


def first_filters(width):
    """First filters of a patch: cosines (DCT-II) in both directions, the slowest first, but for the constant one, so
    that paper is nothing and print is all; the same for the three colours."""
    line = torch.arange(16)
    waves = torch.cos(math.pi * (line[None, :] + 0.5) * line[:, None] / 16)
    waves = waves / waves.norm(dim=1, keepdim=True)
    order = sorted(((down, across) for down in line.tolist() for across in line.tolist()), key=lambda pair: (sum(pair), pair))
    filters = torch.stack([torch.outer(waves[down], waves[across]) for down, across in order[1:width + 1]])
    filters = functional.pad(filters, (0, 0, 0, 0, 0, width - len(filters)))
    return filters.reshape(width, 256).repeat_interleave(3, dim=1) / 3


def first_places(width):
    """First place tables [2, TRAINED, width]: which third of its soft token a patch is, strongly, since pooling forgets
    it; and waves of the place, weakly."""
    place = torch.arange(TRAINED)
    thirds = 0.5 * torch.randn(2, 3, width)[:, place % 3]
    speed = 100.0 ** (-torch.arange(width // 2) / (width // 2))
    angles = place[:, None] * speed[None, :]
    tables = thirds + 0.1 * torch.cat([angles.sin(), angles.cos()], -1)
    # A constant, by which attention can tell distances alone.
    tables[0, :, -1] = CONSTANT
    return tables


def look_near(attention, looks):
    """First maps of queries and keys of a vision layer: by the constant each head looks at one place near its own, as
    narrowly as the fast half of the rotary waves can (the 2-D rotation of transformers: x in the first half of a head, y in
    the second, wave j of each being 100^(-j/16))."""
    wave = 100.0 ** (-torch.arange(16) / 16)
    for head, look in enumerate(looks):
        for linear, sign in ((attention.q_proj.linear, 0.0), (attention.k_proj.linear, -1.0)):
            rows = linear.weight[head * 64:(head + 1) * 64]
            rows *= 0.5
            rows[:, -1] = 0
            for axis, distance in enumerate(look):
                angle = sign * distance * wave[:6]
                rows[axis * 32:axis * 32 + 6, -1] = 0.7 * angle.cos()
                rows[axis * 32 + 16:axis * 32 + 22, -1] = 0.7 * angle.sin()


def write(gemma, speller, folder):
    """A Hugging Face folder for `lapidary model export`."""
    folder = pathlib.Path(folder)
    gemma.generation_config.update(do_sample=False, **generation(speller.ids))
    gemma.config.vision_config.position_embedding_size = PLACES
    save(gemma, folder, {name: whole(name, tensor.detach()) for name, tensor in gemma.state_dict().items()})
    gemma.config.vision_config.position_embedding_size = TRAINED
    (folder / "tokenizer.json").write_text(json.dumps(speller.file, ensure_ascii=False, indent=1), encoding="utf-8")


def whole(name, tensor):
    """A tensor as it is kept: with bounds, and with all places."""
    if name.endswith(("input_min", "output_min")):
        return torch.tensor(-BOUND)
    if name.endswith(("input_max", "output_max")):
        return torch.tensor(BOUND)
    if name.endswith("position_embedding_table"):
        return functional.pad(tensor, (0, 0, 0, PLACES - TRAINED))
    return tensor
