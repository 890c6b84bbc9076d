"""Lines of the inference benchmark that need no torch; started by `benchmarks.inference`."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.inference import Run, SkippedError, answer, measure, read_settings

# Axes: N slices, C channel, S row and column of the aligned image


def _optional(name: str) -> Any:
    """Import what a machine may lack."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise SkippedError(f"{name} is not installed") from error


def _onnxruntime(model: Path, threads: int) -> Run:
    runtime = _optional("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(image_NCSS: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = session.run(None, {name: image_NCSS})[0]
        return logits

    return run


def _openvino(model: Path, threads: int, *, precision: str = "f32") -> Run:
    core = _optional("openvino").Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise SkippedError("OpenVINO finds no bfloat16 in this CPU")
    compiled = core.compile_model(
        str(model),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        },
    )

    def run(image_NCSS: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = compiled(image_NCSS)[0]
        return logits

    return run


def _openvino_bfloat16(model: Path, threads: int) -> Run:
    return _openvino(model, threads, precision="bf16")


OPENINGS: Mapping[str, Callable[[Path, int], Run]] = {
    "ONNX Runtime fp32": _onnxruntime,
    "OpenVINO fp32": _openvino,
    "OpenVINO bf16": _openvino_bfloat16,
}


def main(step: str, folder: Path) -> None:
    """Measure one line in this process."""
    network, backend = step.split(": ")
    threads = read_settings(folder).threads
    model = folder / f"{network}.onnx"
    answer(folder, measure(backend, network, folder, lambda: OPENINGS[backend](model, threads)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
