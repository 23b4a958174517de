"""An ONNX graph under construction, of plain operators, whose weights lie in data files that several graphs may share."""
import pathlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

OPSET = 20


class Weights:
    """Data files in the manner of onnx-community: NAME.onnx_data, NAME.onnx_data_1."""

    def __init__(self, folder, name, part_bytes):
        self.folder, self.name, self.part_bytes = pathlib.Path(folder), name, part_bytes
        self.parts, self.places = [bytearray()], {}

    def put(self, name, array):
        """Stores an array once and returns the tensor that points to it."""
        if name not in self.places:
            if len(self.parts[-1]) + array.nbytes > self.part_bytes and self.parts[-1]:
                self.parts.append(bytearray())
            self.places[name] = (len(self.parts) - 1, len(self.parts[-1]), array.nbytes)
            self.parts[-1] += np.ascontiguousarray(array).tobytes()
        part, offset, length = self.places[name]
        tensor = TensorProto(name=name, dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype))
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", self.file(part)), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor

    def file(self, part):
        """The name of one data file."""
        return f"{self.name}.onnx_data" + (f"_{part}" if part else "")

    def write(self):
        """Writes all parts."""
        for number, part in enumerate(self.parts):
            (self.folder / self.file(number)).write_bytes(part)


class Graph:
    """Operators in the order in which they are asked for."""

    def __init__(self, weights):
        self.weights, self.nodes, self.initializers, self.inputs, self.outputs = weights, [], [], [], []
        self.known = set()

    def op(self, kind, *inputs, **attributes):
        """Adds an operator with one output."""
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def weight(self, name, array):
        """A tensor in a data file."""
        if name not in self.known:
            self.known.add(name)
            self.initializers.append(self.weights.put(name, array))
        return name

    def constant(self, value, dtype=np.float32):
        """A small tensor in the graph itself."""
        array = np.array(value, dtype)
        name = f"constant_{array.dtype}_{array.shape}_{array.tolist()}"
        if name not in self.known:
            self.known.add(name)
            self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, *values):
        """A list of whole numbers."""
        return self.constant(values, np.int64)

    def input(self, name, dtype, shape):
        """Declares what is fed; floats go on as f32."""
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return self.op("Cast", name, to=TensorProto.FLOAT) if dtype == TensorProto.FLOAT16 else name

    def output(self, value, name, dtype, shape):
        """Declares what comes out."""
        self.nodes.append(helper.make_node("Cast", [value], [name], to=dtype))
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def norm(self, x, epsilon, weight=None):
        """RMS norm over the last axis."""
        square = self.op("ReduceMean", self.op("Mul", x, x), self.ints(-1), keepdims=1)
        x = self.op("Div", x, self.op("Sqrt", self.op("Add", square, self.constant(epsilon))))
        return self.op("Mul", x, weight) if weight else x

    def save(self, path, producer):
        """Writes the model file."""
        graph = helper.make_graph(self.nodes, "main_graph", self.inputs, self.outputs, self.initializers)
        opset = [helper.make_opsetid("", OPSET)]
        save(helper.make_model(graph, producer_name=producer, opset_imports=opset, ir_version=10), path)
