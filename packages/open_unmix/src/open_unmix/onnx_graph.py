"""The network of one target as an ONNX graph, built node by node.

Torch's exporters are not used: the current one fixes the number of frames to that of the example,
the older one is deprecated. The network is a chain of about twenty operators.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mss_shared.atomic import replacing
from open_unmix.model import OpenUnmix

OPSET = 17
GATES = (0, 3, 1, 2)  # torch: input, forget, cell, output; ONNX: input, output, forget, cell

Array = NDArray[Any]


class _Graph:
    """Nodes and constants of a graph; methods append one operator and return its output's name."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: Tensor | Array) -> str:
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def reshape(self, x: str, shape: list[int], output: str) -> str:
        """Reshape; 0 keeps an axis, -1 is inferred."""
        target = self.constant(f"{output}.shape", np.array(shape, dtype=np.int64))
        return self.node("Reshape", [x, target], output)

    def linear(self, x: str, layer: nn.Linear, name: str) -> str:
        return self.node("MatMul", [x, self.constant(f"{name}.weight", layer.weight.T)], name)

    def affine(self, x: str, scale: Tensor, shift: Tensor, name: str) -> str:
        scaled = self.node("Mul", [x, self.constant(f"{name}.scale", scale)], f"{name}.scaled")
        return self.node("Add", [scaled, self.constant(f"{name}.shift", shift)], name)

    def norm(self, x: str, layer: nn.BatchNorm1d, name: str) -> str:
        """Batch norm in evaluation: a scale and a shift per feature, computed here in advance."""
        assert layer.running_mean is not None and layer.running_var is not None
        scale = layer.weight / (layer.running_var + layer.eps).sqrt()
        return self.affine(x, scale, layer.bias - layer.running_mean * scale, name)


def write_onnx(network: OpenUnmix, path: Path) -> None:
    """Write a network in evaluation mode to an ONNX file.

    The graph maps magnitudes ``mixture`` (batch, channel, bin, frame) to ``estimate`` of the same
    shape; batch and frame may have any size. STFT and Wiener filter are not part of it.

    Raises:
        ValueError: if onnx is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise ValueError('onnx is not installed: pip install "mss-open-unmix[onnx]"') from None
    graph = _Graph(onnx)
    _append_network(graph, network)
    shape: list[str | int | None] = ["batch", network.nb_channels, network.nb_bins, "frame"]
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name in ("mixture", "estimate")
    ]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "open_unmix", ends[:1], ends[1:], graph.constants),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=8,
    )
    onnx.checker.check_model(model, full_check=True)
    with replacing(path) as part:
        onnx.save(model, part)


def _append_network(graph: _Graph, network: OpenUnmix) -> None:
    """Append the steps of `OpenUnmix.forward`, in its order."""
    magnitude = graph.node("Transpose", ["mixture"], "magnitude", perm=[3, 0, 1, 2])
    bounds = [
        graph.constant(f"band.{name}", np.array([value], dtype=np.int64))
        for name, value in (("start", 0), ("stop", network.max_bin), ("axis", 3))
    ]
    x = graph.node("Slice", [magnitude, *bounds], "band")
    shift = network.input_mean * network.input_scale
    x = graph.affine(x, network.input_scale, shift, "scaled")
    x = graph.reshape(x, [0, 0, -1], "flat")
    x = graph.norm(graph.linear(x, network.fc1, "fc1"), network.bn1, "bn1")
    embedded = graph.node("Tanh", [x], "tanh")
    x = embedded
    for layer in range(network.nb_layers):
        x = _append_lstm(graph, x, network, layer)
    x = graph.node("Concat", [embedded, x], "features", axis=2)
    x = graph.norm(graph.linear(x, network.fc2, "fc2"), network.bn2, "bn2")
    x = graph.node("Relu", [x], "narrow")
    x = graph.norm(graph.linear(x, network.fc3, "fc3"), network.bn3, "bn3")
    x = graph.reshape(x, [0, 0, network.nb_channels, network.nb_bins], "wide")
    x = graph.affine(x, network.output_scale, network.output_mean, "output")
    mask = graph.node("Relu", [x], "mask")
    x = graph.node("Mul", [mask, magnitude], "masked")
    graph.node("Transpose", [x], "estimate", perm=[1, 2, 3, 0])


def _append_lstm(graph: _Graph, x: str, network: OpenUnmix, layer: int) -> str:
    """Append one LSTM layer, (frame, batch, feature) -> (frame, batch, feature)."""
    lstm = network.lstm
    directions = [""] if network.unidirectional else ["", "_reverse"]

    def stacked(kind: str) -> Array:
        return np.stack([_reorder(getattr(lstm, f"{kind}_l{layer}{d}")) for d in directions])

    bias = np.concatenate([stacked("bias_ih"), stacked("bias_hh")], axis=1)
    name = f"lstm{layer}"
    inputs = [
        x,
        graph.constant(f"{name}.input_weight", stacked("weight_ih")),
        graph.constant(f"{name}.hidden_weight", stacked("weight_hh")),
        graph.constant(f"{name}.bias", bias),
    ]
    direction = "forward" if network.unidirectional else "bidirectional"
    x = graph.node("LSTM", inputs, name, direction=direction, hidden_size=lstm.hidden_size)
    x = graph.node("Transpose", [x], f"{name}.directions_last", perm=[0, 2, 1, 3])
    return graph.reshape(x, [0, 0, -1], f"{name}.output")


def _reorder(parameter: Tensor) -> Array:
    """Reorder the four gates of a parameter from torch's order to that of ONNX."""
    gates = parameter.detach().cpu().numpy().reshape(4, -1, *parameter.shape[1:])
    reordered: Array = gates[list(GATES)].reshape(parameter.shape)
    return reordered
