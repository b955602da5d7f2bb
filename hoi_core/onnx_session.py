"""Sessions of ONNX Runtime, set alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hoi_core.errors import AssetError


def onnx_session(model: Path | bytes, threads: int = 0, *, profile: Path | None = None, overflows: bool = True) -> Any:
    """Open a model on the CPU.

    Args:
        model: path of the `.onnx` file, or what would be in one.
        threads: of ONNX Runtime; 0 for one per core.
        profile: start of the name of a file for ONNX Runtime's profile, which `end_profiling` writes; None for none.
        overflows: whether sums of two products of 8 bits may need more than 16; not with weights of 7 bits.

    Raises:
        AssetError: ONNX Runtime is not installed, or does not read the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise AssetError("running a model needs onnxruntime.", "pip install 'hoi-toolkit[runtime]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # x86 without VNNI adds pairs of 8-bit products in 16 bits, which overflow; where that is so, this makes ONNX
    # Runtime take slower instructions that do not.
    if overflows:
        options.add_session_config_entry("session.x64quantprecision", "1")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    source = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own classes, which share only this base
        what = "a part of a model" if isinstance(model, bytes) else model
        raise AssetError(
            f"{what} is not a model that ONNX Runtime reads: {str(error).splitlines()[0]}", "Export it again."
        ) from error
