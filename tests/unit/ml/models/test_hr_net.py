"""HR-Net: its published sizes, its streams, and that they exchange what they know."""

import pytest
import torch

from ml.models.hr_net import Gathering, HighResolutionModule, HRNetConfig
from ml.models.registry import num_parameters


@pytest.mark.parametrize(("width", "published_m"), [(18, 9.6), (32, 29.5), (48, 65.9)])
def test_published_widths_have_their_published_sizes(width: int, published_m: float) -> None:
    config = {"base_width": width, "in_channels": 3, "num_classes": 19}
    assert num_parameters("hr-net", config) / 1e6 == pytest.approx(published_m, abs=0.06)


def test_the_default_width_comes_nearest_to_the_paper() -> None:
    sizes_m = {w: num_parameters("hr-net", {"base_width": w}) / 1e6 for w in range(20, 29)}
    assert min(sizes_m, key=lambda w: abs(sizes_m[w] - 17.12)) == HRNetConfig().base_width


def test_the_stem_is_as_published_from_a_width_of_16_on() -> None:
    assert [HRNetConfig(base_width=w).stem_width for w in (4, 16, 18, 48)] == [16, 64, 64, 64]


def test_streams_keep_their_shapes_even_where_halving_leaves_a_remainder() -> None:
    streams = [torch.rand(2, 4, 13, 9), torch.rand(2, 8, 7, 5), torch.rand(2, 16, 4, 3)]
    passed = HighResolutionModule([4, 8, 16])(streams)
    assert [stream.shape for stream in passed] == [stream.shape for stream in streams]


@pytest.mark.parametrize("target", [0, 1, 2])
def test_a_stream_gathers_from_every_stream(target: int) -> None:
    torch.manual_seed(0)
    gather = Gathering([4, 8, 16], target).eval()
    streams = [torch.rand(1, 4, 16, 16), torch.rand(1, 8, 8, 8), torch.rand(1, 16, 4, 4)]
    expected = gather(streams)
    assert expected.shape == streams[target].shape
    for i in range(3):
        without = [stream * (j != i) for j, stream in enumerate(streams)]
        assert (gather(without) - expected).abs().max() > 1e-3
