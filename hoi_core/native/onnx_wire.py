"""The little of ONNX files that the native engine reads and writes, without the `onnx` package.

An ONNX file is nested protocol-buffer messages. Everything is checked: a damaged or hostile file is an `AssetError`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hoi_core.errors import AssetError
from hoi_core.types import F32

Field = tuple[int, int, bytes | int]
"""Number, wire type, and the bytes of a message or text, or a whole number."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
_FLOAT = 1
_KINDS: dict[int, str] = {_FLOAT: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8"}
_MOST_DIMENSIONS = 8

# Numbers of fields in onnx.proto.
MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT, GRAPH_INFO = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_TENSOR = 5
_TENSOR_DIMS, _TENSOR_KIND, _TENSOR_FLOATS, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 4, 8, 9
_TENSOR_INTEGERS = 5


class _MalformedError(ValueError):
    """The bytes are no such message."""


@dataclass(frozen=True)
class Node:
    """One operator of a graph."""

    operator: str
    """Such as `Conv`."""
    inputs: tuple[str, ...]
    """Names of values."""
    outputs: tuple[str, ...]
    """Names of values."""
    message: bytes
    """As in the file."""


@dataclass(frozen=True)
class Graph:
    """A model file taken apart."""

    around: tuple[Field, ...]
    """Fields of the model beside the graph."""
    rest: tuple[Field, ...]
    """Fields of the graph that are none of the following."""
    nodes: tuple[Node, ...]
    """In the order of computation."""
    constants: dict[str, bytes]
    """Messages of the initialisers by name."""
    outputs: dict[str, bytes]
    """Messages of the outputs by name, in their order."""

    @cached_property
    def makers(self) -> dict[str, Node]:
        """The operator that gives each value."""
        return {name: node for node in self.nodes for name in node.outputs}

    @cached_property
    def readers(self) -> dict[str, list[Node]]:
        """The operators that read each value or initialiser, in the order of computation."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                found.setdefault(name, []).append(node)
        return found


def read(model: bytes, where: str) -> Graph:
    """Take a model apart.

    Raises:
        AssetError: it is no ONNX model.
    """
    try:
        around = tuple(_fields(model))
        graphs = [value for number, _, value in around if number == MODEL_GRAPH and isinstance(value, bytes)]
        if len(graphs) != 1:
            raise _MalformedError(f"it has {len(graphs)} graphs")
        parts = tuple(_fields(graphs[0]))
        known = (GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_OUTPUT)
        messages = {n: [_bytes(value) for number, _, value in parts if number == n] for n in known}
        return Graph(
            around=tuple(field for field in around if field[0] != MODEL_GRAPH),
            rest=tuple(field for field in parts if field[0] not in known),
            nodes=tuple(_node(message) for message in messages[GRAPH_NODE]),
            constants={_text(message, _TENSOR_NAME): message for message in messages[GRAPH_INITIALIZER]},
            outputs={_text(message, 1): message for message in messages[GRAPH_OUTPUT]},
        )
    except (_MalformedError, UnicodeDecodeError) as error:
        raise AssetError(f"{where} is not an ONNX model: {error}.", "Export it again.") from error


def floats(graph: Graph, name: str) -> F32:
    """The numbers of an initialiser.

    Raises:
        AssetError: there is none of that name, or it does not hold finite float32 numbers of the shape it states.
    """
    return numbers(graph, name, np.float32)


def numbers(graph: Graph, name: str, kind: type[np.generic]) -> np.ndarray:
    """The numbers of an initialiser, or of an operator that gives constants.

    Args:
        graph: of `read`.
        name: of the numbers.
        kind: float32, uint8, int8, int32 or int64.

    Raises:
        AssetError: there are none of that name, or not finite ones of that kind and of the shape that is stated.
    """
    wanted = np.dtype(kind)
    try:
        fields = list(_fields(_constant(graph, name)))
        shape = [size for number, _, value in fields if number == _TENSOR_DIMS for size in _whole_numbers(value)]
        kinds = [_KINDS.get(value) if isinstance(value, int) else None for n, _, value in fields if n == _TENSOR_KIND]
        if len(kinds) != 1 or kinds[0] is None or np.dtype(kinds[0]) != wanted:
            raise _MalformedError(f"expected {wanted} numbers, got {kinds}")
        if any(number == _TENSOR_INTEGERS for number, _, _ in fields):
            raise _MalformedError("its integers are not in raw bytes")
        data = b"".join(_bytes(value) for n, _, value in fields if n in (_TENSOR_RAW, _TENSOR_FLOATS))
        if len(shape) > _MOST_DIMENSIONS or any(size < 1 for size in shape):
            raise _MalformedError(f"its shape is {shape}")
        count = 1
        for size in shape:
            count *= size  # whole numbers of Python do not overflow
        if wanted.itemsize * count != len(data):
            raise _MalformedError(f"{len(data)} bytes are not {shape} numbers")
        values = np.frombuffer(data, kinds[0]).reshape(shape)
    except _MalformedError as error:
        raise AssetError(f"{name} in the model is damaged: {error}.", "Export it again.") from error
    if not np.isfinite(values).all():
        raise AssetError(f"{name} in the model holds numbers that are not finite.", "Train again.")
    return values.astype(wanted)


def needed(graph: Graph, given: Collection[str]) -> tuple[list[Node], set[str]]:
    """The operators that the outputs need when some values are known, and the names of all that they read."""
    names, nodes = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if any(name in names and name not in given for name in node.outputs):
            nodes.append(node)
            names |= set(node.inputs)
    return nodes[::-1], names


def cut(graph: Graph, given: Mapping[str, tuple[int, int, int]]) -> bytes:
    """The part of a model that remains to be computed when some of its values are known.

    Args:
        graph: of `read`.
        given: names of values and their shapes `(C, H, W)`; they become the inputs.

    Returns:
        A model file with the same outputs and a free batch size.
    """
    return _file(graph, given, [])


def beginning(graph: Graph, wanted: Mapping[str, tuple[int, int, int]]) -> bytes:
    """The part of a model that gives some of its values.

    Args:
        graph: of `read`.
        wanted: names of values and their shapes `(C, H, W)`; they become the outputs.

    Returns:
        A model file with the same inputs and a free batch size.
    """
    inputs = [_bytes(value) for number, _, value in graph.rest if number == GRAPH_INPUT]
    outputs = {name: _value_info(name, shape) for name, shape in wanted.items()}
    return _file(dataclasses.replace(graph, outputs=outputs), {}, inputs)


def _file(graph: Graph, given: Mapping[str, tuple[int, int, int]], inputs: Sequence[bytes]) -> bytes:
    """A model that computes the outputs from given values and from inputs of some messages."""
    nodes, names = needed(graph, given)
    kept = [_message(GRAPH_NODE, node.message) for node in nodes]
    kept += [_message(GRAPH_INITIALIZER, m) for name, m in graph.constants.items() if name in names]
    kept += [_message(GRAPH_INPUT, _value_info(name, shape)) for name, shape in given.items()]
    kept += [_message(GRAPH_INPUT, message) for message in inputs]
    kept += [_message(GRAPH_OUTPUT, message) for message in graph.outputs.values()]
    kept += [_field(field) for field in graph.rest if field[0] not in (GRAPH_INPUT, GRAPH_INFO)]
    return b"".join(_field(field) for field in graph.around) + _message(MODEL_GRAPH, b"".join(kept))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for n in range(10):
        if at + n >= len(data):
            raise _MalformedError("it ends within a number")
        value |= (data[at + n] & 0x7F) << (7 * n)
        if data[at + n] < 0x80:
            return value, at + n + 1
    raise _MalformedError("a number has more than 64 bits")


def _fields(data: bytes) -> Iterator[Field]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in _WIDTHS:
            length = _WIDTHS[wire]
        else:
            raise _MalformedError(f"wire type {wire} does not exist")
        if number == 0 or at + length > len(data):
            raise _MalformedError("it ends within a field")
        yield number, wire, data[at : at + length]
        at += length


def _bytes(value: bytes | int) -> bytes:
    if not isinstance(value, bytes):
        raise _MalformedError("a number is where a message should be")
    return value


def _whole_numbers(value: bytes | int) -> list[int]:
    """A number, or several packed into bytes."""
    if isinstance(value, int):
        return [value]
    found, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        found.append(number)
    return found


def _constant(graph: Graph, name: str) -> bytes:
    """The message of an initialiser, or of the numbers in a `Constant`."""
    if name in graph.constants:
        return graph.constants[name]
    node = graph.makers.get(name)
    if node is None or node.operator != "Constant":
        raise AssetError(f"the model has no numbers named {name}.", "Export it again.")
    attributes = [_bytes(value) for number, _, value in _fields(node.message) if number == _NODE_ATTRIBUTE]
    parts = [field for attribute in attributes for field in _fields(attribute)]
    return b"".join(_bytes(value) for number, _, value in parts if number == _ATTRIBUTE_TENSOR)


def _texts(message: bytes, number: int) -> tuple[str, ...]:
    return tuple(_bytes(value).decode("utf8") for n, _, value in _fields(message) if n == number)


def _text(message: bytes, number: int) -> str:
    found = _texts(message, number)
    return found[-1] if found else ""


def _node(message: bytes) -> Node:
    return Node(_text(message, _NODE_OP), _texts(message, _NODE_INPUT), _texts(message, _NODE_OUTPUT), message)


def _number(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _message(number: int, content: bytes) -> bytes:
    return _number(number << 3 | _BYTES) + _number(len(content)) + content


def _field(field: Field) -> bytes:
    number, wire, value = field
    if isinstance(value, int):
        return _number(number << 3 | wire) + _number(value)
    return _message(number, value) if wire == _BYTES else _number(number << 3 | wire) + value


def _value_info(name: str, shape: tuple[int, int, int]) -> bytes:
    """A float tensor `(batch, C, H, W)`."""
    sizes = [_message(1, _number(1 << 3 | _VARINT) + _number(size)) for size in shape]
    batch = _message(1, _message(2, b"batch"))
    tensor = _number(1 << 3 | _VARINT) + _number(_FLOAT) + _message(2, b"".join([batch, *sizes]))
    return _message(1, name.encode("utf8")) + _message(2, _message(1, tensor))
