"""llama.cpp through its C interface: sequences of one context, the shared beginning copied between them.

Choosing a token is a plain argmax over the logits (numpy), cheaper than llama.cpp's own sampler and without a grammar.
"""
import ctypes

import llama_cpp
import numpy

from workload import main


class LlamaCpp:
    """One context with a sequence for each slot and one more for the shared beginning."""

    def __init__(self, path, work):
        self.quiet = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self.quiet, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(
            str(path).encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {path}: delete it, the next run makes it anew")
        self.kept, self.ends = work.slots, []
        self.context = llama_cpp.llama_init_from_model(self.model, settings(work))
        if not self.context:
            raise SystemExit(f"llama.cpp cannot make a context of {work.slots + 1} sequences: memory is short")
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.width = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.most = work.slots * max(work.prompt, work.own, work.shared)
        self.batch = llama_cpp.llama_batch_init(self.most, 0, 1)
        self.length = 0

    def learn(self, tokens):
        """Keeps a beginning in a sequence of its own."""
        llama_cpp.llama_memory_seq_rm(self.memory, self.kept, -1, -1)
        self.run([(self.kept, 0, tokens)])
        self.length = len(tokens)

    def prefill(self, prompts, shared=False):
        """Starts a sequence for each prompt."""
        start = self.length if shared else 0
        for sequence in range(len(prompts)):
            llama_cpp.llama_memory_seq_rm(self.memory, sequence, -1, -1)
            if shared:
                llama_cpp.llama_memory_seq_cp(self.memory, self.kept, sequence, -1, -1)
        self.ends = [start + len(prompt) for prompt in prompts]
        return self.run([(sequence, start, prompt) for sequence, prompt in enumerate(prompts)])

    def step(self, tokens):
        """One token for each sequence."""
        rows = [(sequence, self.ends[sequence], [token]) for sequence, token in enumerate(tokens)]
        self.ends = [end + 1 for end in self.ends]
        return self.run(rows)

    def run(self, rows):
        """Feeds (sequence, start, tokens) of each row in one call and gives the likeliest token after each."""
        batch, place, lasts = self.batch, 0, []
        for sequence, start, tokens in rows:
            for offset, token in enumerate(tokens):
                batch.token[place], batch.pos[place] = token, start + offset
                batch.n_seq_id[place], batch.seq_id[place][0] = 1, sequence
                batch.logits[place] = offset + 1 == len(tokens)
                place += 1
            lasts.append(place - 1)
        batch.n_tokens = place
        failed = llama_cpp.llama_decode(self.context, batch)
        if failed:
            raise SystemExit(f"llama_decode gave {failed} for {place} tokens of {len(rows)} sequences")
        return [self.likeliest(last) for last in lasts]

    def likeliest(self, place):
        logits = llama_cpp.llama_get_logits_ith(self.context, place)
        return int(numpy.ctypeslib.as_array(logits, shape=(self.width,)).argmax())


def settings(work):
    """A buffer for each sequence, flash attention, and as many tokens at once as the prompts of all slots have."""
    params = llama_cpp.llama_context_default_params()
    params.n_seq_max = work.slots + 1
    params.n_ctx = params.n_seq_max * (-(-work.context // 256) * 256)
    params.n_batch = work.slots * max(work.prompt, work.own, work.shared)
    params.n_ubatch = 512
    params.n_threads = params.n_threads_batch = work.threads
    params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
    params.kv_unified = False
    params.swa_full = False
    return params


if __name__ == "__main__":
    main(LlamaCpp)
