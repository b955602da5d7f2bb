"""What the exporter leaves to be put right in an ONNX file: names of layers, and constants that layers share."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import onnx

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators that convolutional and linear layers become."""


def tidy(path: Path) -> None:
    """Name the layers of a file after their modules, and give each its own integers, scales and zero points.

    The exporter names layers by their last word, and writes equal constants once. ONNX Runtime refuses shared ones
    where it turns weights into unsigned numbers, as it does on x86 without VNNI.
    """
    model = onnx.load(path)
    _inline_copies(model.graph)
    _separate_constants(model.graph)
    made = makers(model.graph)
    seen: Counter[str] = Counter()
    for node in model.graph.node:
        if node.op_type in LAYERS:
            name = _module_of(made, node)
            seen[name] += 1
            node.name = name if seen[name] == 1 else f"{name}:{seen[name]}"
    onnx.save(model, path)


def makers(graph: Any) -> dict[str, Any]:
    """The node that makes each value of a graph."""
    return {output: node for node in graph.node for output in node.output}


def constant_behind(made: dict[str, Any], name: str) -> str:
    """Name of the constant that a value holds the numbers of; the value's own where it is no constant's.

    Args:
        made: of `makers`.
        name: of the value.
    """
    while name in made and made[name].op_type in ("DequantizeLinear", "QuantizeLinear", "Transpose"):
        name = made[name].input[0]
    return name


def _module_of(made: dict[str, Any], node: Any) -> str:
    """Name of the module whose weights a node multiplies by; the node's own where the file does not tell."""
    module, found, _ = constant_behind(made, node.input[1]).partition(".weight")
    return module if found else node.name


def _inline_copies(graph: Any) -> None:
    """Drop nodes that only copy a constant."""
    constants = {t.name for t in graph.initializer}
    copied = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Identity" and n.input[0] in constants}
    kept = [node for node in graph.node if node.output[0] not in copied]
    for node in kept:
        for k, name in enumerate(node.input):
            node.input[k] = copied.get(name, name)
    del graph.node[:]
    graph.node.extend(kept)


def _separate_constants(graph: Any) -> None:
    """Copy constants that several layers' weights or biases share."""
    constants = {t.name: t for t in graph.initializer}
    used: set[str] = set()
    for node in graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in constants:
            continue
        for k, name in enumerate(node.input):
            if name in used:
                double = onnx.TensorProto()
                double.CopyFrom(constants[name])
                double.name = node.input[k] = f"{name}:{node.name}:{k}"
                graph.initializer.append(double)
            used.add(name)
