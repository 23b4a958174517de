"""onnxruntime-genai over the same graphs as lapidary's (see genai_graph.py).

Its generator takes a prompt behind kept keys and values for one sequence only (`rewind_to`); in a batch every prompt is
prefilled whole, the shared beginning included. It is still faster in batches, so extraction runs in batches.
"""
import numpy
import onnxruntime_genai

from workload import main


class Genai:
    """One model; a generator for each batch, since that is what its interface offers."""

    def __init__(self, path, work):
        self.work = work
        config = onnxruntime_genai.Config(str(path))
        config.overlay(f'{{"model": {{"decoder": {{"session_options": {{"intra_op_num_threads": {work.threads}}}}}}}}}')
        self.model = onnxruntime_genai.Model(config)
        self.shared, self.kept, self.running = [], None, None

    def learn(self, tokens):
        """Keeps a beginning: as tokens for batches, and in a generator for single sequences."""
        if self.shared != tokens:
            self.shared, self.kept = tokens, self.generator(1)
            self.kept.append_tokens(numpy.array([tokens], dtype=numpy.int32))

    def prefill(self, prompts, shared=False):
        """Starts a batch, or a single sequence behind the kept beginning."""
        if shared and len(prompts) == 1:
            self.running = self.kept
            self.running.rewind_to(len(self.shared))
        else:
            self.running = self.generator(len(prompts))
            prompts = [self.shared + prompt for prompt in prompts] if shared else prompts
        self.running.append_tokens(numpy.array(prompts, dtype=numpy.int32))
        return self.step(None)

    def step(self, _):
        """Feeds what it chose itself, and chooses anew."""
        self.running.generate_next_token()
        return self.running.get_next_tokens()

    def generator(self, rows):
        params = onnxruntime_genai.GeneratorParams(self.model)
        params.set_search_options(batch_size=rows, max_length=self.work.context + 1, do_sample=False)
        return onnxruntime_genai.Generator(self.model, params)


if __name__ == "__main__":
    main(Genai)
