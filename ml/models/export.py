"""A network as an ONNX file, for runtimes that are not torch.

Needs the packages of ``midline[export]``.
"""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from config.errors import UsageError

INPUT_NAME: str = "image"
"""Name of the only input: (B, in_channels, Y, X), float32, aligned and standardised."""

OUTPUT_NAME: str = "logits"
"""Name of the only output: (B, num_classes, Y, X), float32."""


def export_onnx(model: nn.Module, path: Path, *, example_BCYX: Tensor) -> None:
    """Write a network as one ONNX file, its weights inside.

    Parameters
    ----------
    model
        In evaluation mode, on the CPU.
    path
        Of the file; its folder exists. What stood there is replaced.
    example_BCYX
        An input. The file takes inputs of just this shape, its batch included.

    Raises
    ------
    UsageError
        If a package that the export needs is missing.
    """
    if model.training:
        raise ValueError("the network is in training mode; its batch statistics would be exported")
    try:
        import onnxscript  # noqa: F401, PLC0415 - optional, and slow to import
    except ModuleNotFoundError as error:
        raise UsageError("ONNX export needs the extra packages of midline[export]") from error
    partial = path.with_name(path.name + ".part")
    with warnings.catch_warnings():
        # torch 2.13 warns of its own use of a class that it deprecates
        warnings.simplefilter("ignore", FutureWarning)
        torch.onnx.export(
            model,
            (example_BCYX,),
            partial,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    partial.replace(path)
