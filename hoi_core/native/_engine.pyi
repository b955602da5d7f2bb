from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from hoi_core.types import F32, I64, U8

class StepReport(TypedDict):
    kind: str
    size: int
    c_in: int
    c_out: int
    kernel: int
    sites: int
    multiply_adds: float
    seconds: float

def instruction_sets() -> list[str]: ...
def multiply_adds(instruction_set: str, rounds: int) -> float: ...
def edge_input(crop: U8, edges: tuple[float, int, int, int, str]) -> F32: ...

class _Again(TypedDict, total=False):
    again: bool
    again_zero: int
    kept_first: bool

class Layer(_Again):
    weight: np.ndarray[Any, np.dtype[np.int8]]
    bias: np.ndarray[Any, np.dtype[np.int32]]
    multiplier: F32
    stride: int
    relu: bool
    zero: int
    scale: float
    residual: int
    table: U8
    own_ratio: float
    kept_ratio: float
    fixed: float

class ByteMap(TypedDict):
    weight: np.ndarray[Any, np.dtype[np.int8]] | None
    multiplier: F32
    zero_in: int
    zero: int
    ratio: float
    fixed: float
    again_zero: int

class Network:
    def __init__(self, size: int, channels: int, instruction_set: str = "", threads: int = 1) -> None: ...
    def convolve(
        self, source: int, weight: F32, bias: F32, stride: int = 1, relu: bool = False, residual: int = -1
    ) -> int: ...
    def max_pool(self, source: int) -> int: ...
    def take_bytes(self, image_scale: float, site_scale: float, largest_weight: int) -> None: ...
    def convolve_bytes(self, source: int, layer: Layer) -> int: ...
    def max_pool_bytes(self, source: int, table: U8, scale: float) -> int: ...
    def finish(self, outputs: Sequence[int]) -> None: ...
    def hand_over(self, elsewhere: Callable[[F32], Sequence[F32]] | None, most: float) -> None: ...
    def multiply_adds(self, image: F32) -> float: ...
    def run(self, image: F32, timed: bool = False) -> list[F32]: ...
    def reports(self) -> list[StepReport]: ...
    @property
    def instruction_set(self) -> str: ...

class Hand:
    def __init__(
        self,
        encoder: Network,
        heads: Mapping[str, tuple[F32, F32]],
        lift: F32,
        up: Sequence[F32],
        spirals: Sequence[I64],
        convs: Sequence[tuple[F32, F32]],
        mixes: Sequence[tuple[F32, F32] | None],
        mean: F32,
        edges: tuple[float, int, int, int, str],
    ) -> None: ...
    def run(self, image: F32, uv: F32, depth: F32, vertices: F32, confidence: F32) -> None: ...
    def run_crop(self, crop: U8, uv: F32, depth: F32, vertices: F32, confidence: F32) -> None: ...
    def shapes(self) -> list[list[int]]: ...

class ByteHand:
    def __init__(
        self,
        encoder: Network,
        heads: Mapping[str, Layer],
        up: Sequence[ByteMap],
        lift: ByteMap,
        last_again: ByteMap,
        spirals: Sequence[I64],
        convs: Sequence[Layer],
        mixes: Sequence[Layer | None],
        mean: F32,
        numbers: tuple[int, float, float],
        edges: tuple[float, int, int, int, str],
    ) -> None: ...
    def run(self, image: F32, uv: F32, depth: F32, vertices: F32, confidence: F32) -> None: ...
    def run_crop(self, crop: U8, uv: F32, depth: F32, vertices: F32, confidence: F32) -> None: ...
    def shapes(self) -> list[list[int]]: ...
