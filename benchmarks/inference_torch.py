"""Lines of the inference benchmark that run in torch; started by `benchmarks.inference`."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.inference import (
    Run,
    Settings,
    SkippedError,
    answer,
    measure,
    median_seconds,
    peak_mib,
    read_settings,
)
from benchmarks.inference_report import Line
from ml.align import align
from ml.checkpoint import load
from ml.inference import Precision, Segmenter
from ml.models import registry
from ml.models.export import export_onnx
from ml.phantom import Scan, make_phantom
from ml.preprocess import InputSpec, network_input, resample
from ml.volume import Grid, Subtype, Volume
from ml.weights import path_of

# Axes: N slices, C channel, S row and column of the aligned image

LITE = "sym-transnet-lite"
SEED = 1
BLEEDS = (Subtype.IPH, Subtype.SDH)
FIELD_OF_VIEW_MM = 230.0


def prepare(folder: Path) -> None:
    """Leave in the folder what the lines need: a volume, inputs, weights, ONNX files."""
    settings = read_settings(folder)
    scan = Scan(num_slices=settings.slices, matrix=settings.matrix)
    volume = make_phantom(SEED, BLEEDS, scan=scan).volume
    _keep_volume(folder, volume)
    model, card = load(path_of(LITE), torch.device("cpu"))
    inputs = {"lite": _input(volume, card.input)}
    models: dict[str, nn.Module] = {"lite": model}
    if "full" in settings.networks:
        pixel_mm = FIELD_OF_VIEW_MM / settings.matrix
        spec = InputSpec(settings.matrix, pixel_mm, windows=((50.0, 100.0),), num_slices=1)
        middle = np.arange(settings.full_slices) + (settings.slices - settings.full_slices) // 2
        inputs["full"] = _input(volume, spec)[middle]
        models["full"] = _full(settings)
        _settle(models["full"], inputs["full"][:1])
        safetensors.torch.save_file(models["full"].state_dict(), folder / "full.safetensors")
    for name in settings.networks:
        np.save(folder / f"{name}.npy", inputs[name])
        first = torch.from_numpy(inputs[name][: settings.batch_of(name)])
        export_onnx(models[name], folder / f"{name}.onnx", example_BCYX=first)


def segment(folder: Path) -> Line:
    """Measure the whole way from a volume in HU to its mask, as the node goes it, in float32."""
    settings = read_settings(folder)
    volume = _kept_volume(folder)
    segmenter = Segmenter.load(
        path_of(LITE), device="cpu", precision=Precision.FP32, threads=settings.threads
    )
    segmenter.segment(volume)
    seconds = median_seconds(lambda: segmenter.segment(volume), settings.repeats)
    what = f"{len(volume.hu)} of {settings.matrix}x{settings.matrix}"
    return Line("lite", "HU volume to mask (`Segmenter.segment`) fp32", what, seconds, peak_mib())


def _input(volume: Volume, spec: InputSpec) -> NDArray[np.float32]:
    return network_input(resample(volume, align(volume), spec))


def _full(settings: Settings) -> nn.Module:
    """Return the network as published, random: no weights of it exist."""
    torch.manual_seed(SEED)
    return registry.build("sym-transnet", {"in_channels": 1, "image_size": settings.matrix})


@torch.inference_mode()
def _settle(model: nn.Module, image_NCSS: NDArray[np.float32]) -> None:
    """Give a random network the statistics of an image; else each pixel gets the same class."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    model.train()(torch.from_numpy(image_NCSS))
    model.eval().requires_grad_(False)


def _load(network: str, folder: Path) -> nn.Module:
    if network == "lite":
        return load(path_of(LITE), torch.device("cpu"))[0]
    model = _full(read_settings(folder))
    model.load_state_dict(safetensors.torch.load_file(folder / "full.safetensors"))
    return model.eval().requires_grad_(False)


def _eager(model: nn.Module, _network: str) -> Run:
    def run(image_NCSS: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = model(torch.from_numpy(image_NCSS)).numpy()
        return logits

    return run


def _channels_last(model: nn.Module, _network: str, *, bfloat16: bool = False) -> Run:
    # torch's stubs leave this form out
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(image_NCSS: NDArray[np.float32]) -> NDArray[np.float32]:
        image = torch.from_numpy(image_NCSS).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits: NDArray[np.float32] = model(image).float().numpy()
        return logits

    return run


def _bfloat16(model: nn.Module, network: str) -> Run:
    return _channels_last(model, network, bfloat16=True)


def _compiled(model: nn.Module, network: str) -> Run:
    if network == "full":
        raise SkippedError("only tried with the light network")
    compiled = torch.compile(model)

    def run(image_NCSS: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            logits: NDArray[np.float32] = compiled(torch.from_numpy(image_NCSS)).numpy()
        except Exception as error:
            raise SkippedError(f"torch.compile fails: {type(error).__name__}") from error
        return logits

    return run


OPENINGS: Mapping[str, Callable[[nn.Module, str], Run]] = {
    "eager fp32": _eager,
    "eager channels_last fp32": _channels_last,
    "eager channels_last bf16": _bfloat16,
    "torch.compile fp32": _compiled,
}


def _keep_volume(folder: Path, volume: Volume) -> None:
    grid = volume.grid
    np.savez(
        folder / "volume.npz",
        hu=volume.hu,
        slice_origins_mm=grid.slice_origins_mm,
        row_direction=grid.row_direction,
        column_direction=grid.column_direction,
        pixel_spacing_mm=grid.pixel_spacing_mm,
    )


def _kept_volume(folder: Path) -> Volume:
    with np.load(folder / "volume.npz", allow_pickle=False) as kept:
        rows, columns = kept["hu"].shape[1:]
        between_rows, between_columns = kept["pixel_spacing_mm"].tolist()
        grid = Grid(
            slice_origins_mm=kept["slice_origins_mm"],
            row_direction=kept["row_direction"],
            column_direction=kept["column_direction"],
            pixel_spacing_mm=(between_rows, between_columns),
            rows=rows,
            columns=columns,
        )
        return Volume(kept["hu"], grid)


def main(step: str, folder: Path) -> None:
    """Do one step of the benchmark in this process."""
    torch.set_num_threads(read_settings(folder).threads)
    if step == "prepare":
        prepare(folder)
    elif step == "segment":
        answer(folder, segment(folder))
    else:
        network, backend = step.split(": ")
        with torch.inference_mode():
            line = measure(
                backend,
                network,
                folder,
                lambda: OPENINGS[backend](_load(network, folder), network),
            )
        answer(folder, line)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
