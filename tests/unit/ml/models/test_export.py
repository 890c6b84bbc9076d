"""Networks outside of this process: torch.export, and ONNX in ONNX Runtime."""

from pathlib import Path

import onnxruntime
import pytest
import torch

from ml.models.export import INPUT_NAME, OUTPUT_NAME, export_onnx
from ml.models.registry import NETWORKS
from tests.unit.ml.models.networks import image, settled, small


@pytest.mark.parametrize("name", [n for n in NETWORKS if n not in {"da-net", "hr-net"}])
def test_torch_export_gives_the_same_network(name: str) -> None:
    model = settled(name)
    exported = torch.export.export(model, (image(2),)).module()
    torch.testing.assert_close(exported(image(2)), model(image(2)))


@pytest.mark.parametrize("name", ["sym-transnet-lite", "sym-transnet"])
def test_onnx_runtime_computes_the_same(name: str, tmp_path: Path) -> None:
    model, path = settled(name), tmp_path / "network.onnx"
    export_onnx(model, path, example_BCYX=image(2))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run([OUTPUT_NAME], {INPUT_NAME: image(2).numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(logits), model(image(2)), atol=1e-5, rtol=1e-4)
    assert [p.name for p in tmp_path.iterdir()] == ["network.onnx"]


def test_a_network_in_training_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="training mode"):
        export_onnx(small("unet").train(), tmp_path / "network.onnx", example_BCYX=image(1))
