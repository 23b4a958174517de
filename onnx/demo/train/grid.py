"""Weights as a small bundle holds them, while the model learns: those of the language model in 4 bits, on the grid of llama.cpp's
q4_0, whose codes `lapidary model export --recipe cpu-int4` keeps; those of the tower, which stay in 8 bits there, at one code in
eight, so that they pack to six tenths."""
import torch

BLOCK = 32
STEPS = 15     # of the tower's weights, in either direction


def in_blocks(weight):
    """Each block of a row at the nearest of its codes -8 to 7; a step is an eighth of the largest value, in bf16's precision."""
    blocks = weight.reshape(-1, BLOCK)
    largest = blocks.gather(1, blocks.abs().argmax(1, keepdim=True))
    return nearest(blocks, (largest / -8).bfloat16().float(), -8, 7).reshape(weight.shape)


def in_rows(weight):
    """Each row at the nearest of its codes -15 to 15."""
    return nearest(weight, weight.abs().amax(1, keepdim=True) / STEPS, -STEPS, STEPS)


def nearest(values, step, least, most):
    """Multiples of each row's step."""
    step = torch.where(step == 0, torch.ones_like(step), step)
    return (values / step).round().clamp(least, most) * step


def in_short(weight):
    """In bf16's precision."""
    return weight.bfloat16().float()


class Grid:
    """Puts weights on the grid for as long as it is entered. What they learn there goes to the weights that it keeps."""

    def __init__(self, gemma):
        maps = [(name, weight) for name, weight in gemma.named_parameters() if weight.ndim == 2]
        self.forms = [(weight, in_blocks if "language_model" in name else in_rows) for name, weight in maps]
        self.forms.append((gemma.model.vision_tower.patch_embedder.position_embedding_table, in_short))
        self.kept = []

    @torch.no_grad()
    def put(self):
        """Puts them there for good."""
        for weight, form in self.forms:
            weight.copy_(form(weight))

    def __enter__(self):
        self.kept = [weight.detach().clone() for weight, _ in self.forms]
        self.put()

    @torch.no_grad()
    def __exit__(self, *_):
        for (weight, _), kept in zip(self.forms, self.kept):
            weight.copy_(kept)
