"""What the machine could do at best: bytes read from memory, and multiplications, per second.

Reading: the sum of 1 GiB, as STREAM reads, best of several. Multiplying: one map of the model's MLP over the rows of one
prefill, in f32 and bf16 (PyTorch) and in u8 by s8 (ONNX Runtime), the best of several; a multiplication and an addition
count as two.
"""
import argparse
import time

import numpy
import onnxruntime
import torch
from onnx import TensorProto, helper

from workload import say

ROWS, WIDTH, INNER = 512, 1536, 12288
"""Tokens of a prefill, and the map of the model's wider MLP."""


def best(work, seconds=3.0):
    """Seconds of the fastest run."""
    work()
    least, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - begun)
    return least


def bandwidth(threads):
    """Bytes per second that so many threads read from memory."""
    torch.set_num_threads(threads)
    values = torch.ones(1 << 27, dtype=torch.int64)
    return 8 * len(values) / best(values.sum)


def float_rate(dtype, threads):
    """Operations per second of a product in that type."""
    torch.set_num_threads(threads)
    left, right = torch.randn(ROWS, WIDTH).to(dtype), torch.randn(INNER, WIDTH).to(dtype)
    return 2 * ROWS * WIDTH * INNER / best(lambda: torch.nn.functional.linear(left, right))


def int8_rate(threads):
    """Operations per second of u8 by s8 with sums in 32 bits."""
    node = helper.make_node("MatMulInteger", ["left", "right"], ["product"])
    weights = numpy.random.default_rng(0).integers(-127, 127, (WIDTH, INNER), dtype=numpy.int8)
    graph = helper.make_graph(
        [node], "product", [helper.make_tensor_value_info("left", TensorProto.UINT8, [ROWS, WIDTH])],
        [helper.make_tensor_value_info("product", TensorProto.INT32, [ROWS, INNER])],
        [helper.make_tensor("right", TensorProto.INT8, weights.shape, weights.tobytes(), raw=True)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    left = numpy.random.default_rng(1).integers(0, 255, (ROWS, WIDTH), dtype=numpy.uint8)
    return 2 * ROWS * WIDTH * INNER / best(lambda: session.run(None, {"left": left}))


def main():
    """Prints all limits."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--probe", action="store_true", help="only what tells how busy the machine is, in a second")
    arguments = parser.parse_args()
    threads = arguments.threads
    if arguments.probe:
        torch.set_num_threads(threads)
        left, right = torch.randn(ROWS, WIDTH), torch.randn(INNER, WIDTH)
        seconds = best(lambda: torch.nn.functional.linear(left, right), 1.0)
        say("probe_f32", 2 * ROWS * WIDTH * INNER / seconds)
        return
    say("read_one_thread", bandwidth(1))
    say("read", bandwidth(threads))
    say("f32", float_rate(torch.float32, threads))
    say("bf16", float_rate(torch.bfloat16, threads))
    say("int8", int8_rate(threads))


if __name__ == "__main__":
    main()
