"""transformers on PyTorch: the checkpoint itself in bf16, sequences of equal length as one batch over its own cache."""
import copy

import torch
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.utils import logging

from workload import main


class Transformers:
    """The model, the cache of the running batch, and the cache of the kept beginning."""

    def __init__(self, path, work):
        torch.set_num_threads(work.threads)
        logging.set_verbosity_error()
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16, attn_implementation="sdpa").eval()
        self.kept, self.cache = None, None

    def learn(self, tokens):
        """Runs a beginning and keeps its cache."""
        self.cache = DynamicCache(config=self.model.config.get_text_config())
        self.run([tokens])
        self.kept = self.cache

    def prefill(self, prompts, shared=False):
        """One sequence for each prompt; the kept beginning is copied for each."""
        self.cache = DynamicCache(config=self.model.config.get_text_config())
        if shared:
            self.cache = copy.deepcopy(self.kept)
            self.cache.batch_repeat_interleave(len(prompts))
        return self.run(prompts)

    def step(self, tokens):
        """One token for each sequence."""
        return self.run([[token] for token in tokens])

    @torch.inference_mode()
    def run(self, rows):
        """The likeliest token after each row."""
        ids = torch.tensor(rows)
        out = self.model(input_ids=ids, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        return out.logits[:, -1].argmax(-1).tolist()


if __name__ == "__main__":
    main(Transformers)
