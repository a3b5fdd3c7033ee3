#!/usr/bin/env python3
"""Converts an EfficientNet-Lite state dict (PyTorch, legacy file format) to ONNX with NumPy and onnx alone.

    efficientnet_lite.py WEIGHTS.pth OUTPUT.onnx --input-size 224

Architecture: M. Tan and Q. Le, "EfficientNet" (ICML 2019), in its Lite form: no squeeze-and-excitation, ReLU6,
stem and head of fixed width. Kernel sizes and widths are read from the shapes of the weights; only the strides are not
in the file. Batch norm is folded into the convolution before it, in double precision.

The graph takes `image`, f32[N, 3, S, S], and gives `features`, f32[N, 1280]: the globally averaged head, the layer
below the classifier. `logits`, f32[N, 1000], is a second output, so that a card may name either layer.
"""
import argparse
import collections
import pickle
import re
import struct

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BATCH_NORM_EPSILON = 1e-3
# (stride of the first block, repeats being read from the file) of the seven stages, in order.
STAGE_STRIDES = (1, 2, 2, 2, 1, 2, 1)
STAGE_KERNELS = (3, 3, 5, 3, 5, 5, 3)
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
ELEMENT_TYPES = {"FloatStorage": np.float32, "LongStorage": np.int64, "HalfStorage": np.float16}


def read_legacy_state_dict(path):
    """Reads a state dict that torch.save wrote before version 1.6: pickles, then the raw storages in key order."""
    storages = {}
    tensors = []

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            if (module, name) == ("collections", "OrderedDict"):
                return collections.OrderedDict
            if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
                return lambda storage, offset, size, stride, *rest: Tensor(storage, offset, size, stride)
            if module == "torch" and name in ELEMENT_TYPES:
                return ELEMENT_TYPES[name]
            raise pickle.UnpicklingError(f"refusing to load {module}.{name}")

        def persistent_load(self, saved):
            _, element_type, key, _, count, *_ = saved
            return storages.setdefault(key, Storage(element_type, count))

    class Storage:
        def __init__(self, element_type, count):
            self.element_type, self.count, self.values = element_type, count, None

    class Tensor:
        def __init__(self, storage, offset, size, stride):
            self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

        def numpy(self):  # The strides matter: weights converted from TensorFlow are stored transposed.
            values = self.storage.values[self.offset:]
            return np.lib.stride_tricks.as_strided(values, self.size, [s * values.itemsize for s in self.stride])

    with open(path, "rb") as file:
        if pickle.load(file) != LEGACY_MAGIC:
            raise SystemExit(f"{path}: not a PyTorch file of the format before 1.6")
        pickle.load(file)  # protocol version
        pickle.load(file)  # byte order and sizes of the writer
        state = Unpickler(file).load()
        for key in pickle.load(file):
            storage = storages[key]
            (count,) = struct.unpack("<q", file.read(8))
            if count != storage.count:
                raise SystemExit(f"{path}: storage {key} has {count} elements, expected {storage.count}")
            width = np.dtype(storage.element_type).itemsize
            storage.values = np.frombuffer(file.read(count * width), storage.element_type)
    return {name: tensor.numpy() for name, tensor in state.items()}


class Graph:
    """Collects nodes and weights, and names the tensor that the next node reads."""

    def __init__(self, state):
        self.state, self.nodes, self.weights = state, [], []

    def constant(self, name, value):
        self.weights.append(numpy_helper.from_array(np.asarray(value, np.float32, order="C"), name))
        return name

    def convolution(self, x, size, weight_name, norm_name, stride=1, relu6=True):
        """Convolution with the batch norm after it folded in, and 'same' padding as TensorFlow places it."""
        weight = self.state[f"{weight_name}.weight"].astype(np.float64)
        gamma, beta, mean, variance = (self.state[f"{norm_name}.{part}"].astype(np.float64)
                                       for part in ("weight", "bias", "running_mean", "running_var"))
        scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
        kernel = weight.shape[2]
        group = weight.shape[0] if weight.shape[1] == 1 and weight.shape[0] > 1 else 1
        out_size = -(-size // stride)
        pad = max((out_size - 1) * stride + kernel - size, 0)
        y = f"{weight_name}.out"
        self.nodes.append(helper.make_node(
            "Conv", [x, self.constant(f"{weight_name}.w", weight * scale[:, None, None, None]),
                     self.constant(f"{weight_name}.b", beta - mean * scale)], [y],
            kernel_shape=[kernel, kernel], strides=[stride, stride], group=group,
            pads=[pad // 2, pad // 2, pad - pad // 2, pad - pad // 2]))
        if relu6:
            self.nodes.append(helper.make_node("Clip", [y, "zero", "six"], [f"{y}.relu6"]))
            y = f"{y}.relu6"
        return y, out_size


def strides_of(state, blocks):
    """The stride of each block: a stage begins where the depthwise kernel or the width of the output changes."""
    strides, stage = [], -1
    previous = None
    for i in range(blocks):
        kernel = state[f"_blocks.{i}._depthwise_conv.weight"].shape[2]
        width = state[f"_blocks.{i}._project_conv.weight"].shape[0]
        begins = (kernel, width) != previous
        previous = (kernel, width)
        if begins:
            stage += 1
            if stage >= len(STAGE_STRIDES) or kernel != STAGE_KERNELS[stage]:
                raise SystemExit("these weights are not an EfficientNet-Lite")
        strides.append(STAGE_STRIDES[stage] if begins else 1)
    return strides


def build(state, input_size):
    graph = Graph(state)
    graph.constant("zero", np.float32(0))
    graph.constant("six", np.float32(6))
    blocks = 1 + max(int(m.group(1)) for name in state if (m := re.match(r"_blocks\.(\d+)\.", name)))
    x, size = graph.convolution("image", input_size, "_conv_stem", "_bn0", stride=2)
    for i, stride in enumerate(strides_of(state, blocks)):
        block, shortcut = f"_blocks.{i}", x
        if f"{block}._expand_conv.weight" in state:
            x, size = graph.convolution(x, size, f"{block}._expand_conv", f"{block}._bn0")
        x, size = graph.convolution(x, size, f"{block}._depthwise_conv", f"{block}._bn1", stride=stride)
        x, size = graph.convolution(x, size, f"{block}._project_conv", f"{block}._bn2", relu6=False)
        first = state.get(f"{block}._expand_conv.weight", state[f"{block}._depthwise_conv.weight"])
        width_in = first.shape[1] if f"{block}._expand_conv.weight" in state else first.shape[0]
        if stride == 1 and width_in == state[f"{block}._project_conv.weight"].shape[0]:
            graph.nodes.append(helper.make_node("Add", [x, shortcut], [f"{block}.sum"]))
            x = f"{block}.sum"
    x, size = graph.convolution(x, size, "_conv_head", "_bn1")
    graph.nodes.append(helper.make_node("GlobalAveragePool", [x], ["pooled"]))
    graph.nodes.append(helper.make_node("Flatten", ["pooled"], ["features"], axis=1))
    graph.nodes.append(helper.make_node(
        "Gemm", ["features", graph.constant("_fc.w", state["_fc.weight"]), graph.constant("_fc.b", state["_fc.bias"])],
        ["logits"], transB=1))
    classes, width = state["_fc.weight"].shape
    onnx_graph = helper.make_graph(
        graph.nodes, "efficientnet_lite",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, input_size, input_size])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", width]),
         helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes])],
        graph.weights)
    model = helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("output")
    parser.add_argument("--input-size", type=int, required=True)
    arguments = parser.parse_args()
    onnx.save(build(read_legacy_state_dict(arguments.weights), arguments.input_size), arguments.output)


if __name__ == "__main__":
    main()
