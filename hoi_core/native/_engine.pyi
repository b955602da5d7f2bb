from collections.abc import Sequence
from typing import TypedDict

from hoi_core.types import F32

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

class Network:
    def __init__(self, size: int, channels: int, instruction_set: str = "") -> None: ...
    def convolve(
        self, source: int, weight: F32, bias: F32, stride: int = 1, relu: bool = False, residual: int = -1
    ) -> int: ...
    def max_pool(self, source: int) -> int: ...
    def finish(self, outputs: Sequence[int]) -> None: ...
    def run(self, image: F32, timed: bool = False) -> list[F32]: ...
    def reports(self) -> list[StepReport]: ...
    @property
    def instruction_set(self) -> str: ...
