"""A network that finds the midline, in place of mirror correlation."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from config.errors import ModelError
from ml.align import HeadSlices, align, head_slices
from ml.learned_alignment import align_by_network, load_network, network_midlines, save_network
from ml.models.alignment_net import (
    AlignmentNet,
    AlignmentNetConfig,
    asymmetry,
    straighten,
)
from ml.volume import Volume
from tests.support.heads import AIR_HU, Head, axial_grid

SMALL = AlignmentNetConfig(base_width=4, hidden=8)


class Says(AlignmentNet):
    """Says the same of every slice: first one thing, from the second pass on another."""

    def __init__(self, *said: tuple[float, float]) -> None:
        super().__init__(SMALL)
        self.said = list(said)
        self.seen: list[Tensor] = []

    def forward(self, image_BSS: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(image_BSS)
        rotation_deg, shift_pixels = self.said[min(len(self.seen), len(self.said)) - 1]
        ones = torch.ones(len(image_BSS))
        return rotation_deg * ones, shift_pixels * ones


def sampled(head: Head) -> HeadSlices:
    slices = head_slices(head.volume(axial_grid(num_slices=6)))
    assert slices is not None
    return slices


def test_a_fresh_network_finds_every_head_straight() -> None:
    rotation_B, shift_B = AlignmentNet(SMALL).eval()(torch.rand(2, 64, 64))
    assert rotation_B.tolist() == [0, 0]
    assert shift_B.tolist() == [0, 0]


def test_no_answer_is_beyond_the_reach_of_the_network() -> None:
    network = AlignmentNet(SMALL).eval()
    torch.nn.init.constant_(network.numbers.bias, 50.0)
    rotation_B, shift_B = network(torch.rand(2, 64, 64))
    assert rotation_B.tolist() == pytest.approx([30, 30])
    assert shift_B.tolist() == pytest.approx([8, 8])


def test_straightening_brings_a_line_of_known_pose_into_the_middle() -> None:
    rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    turn, shift = np.deg2rad(14.0), 6.0
    across = (columns - 63.5) * np.cos(turn) + (rows - 63.5) * np.sin(turn) - shift
    line = torch.exp(-((across / 2) ** 2))[None]
    straight = straighten(line, torch.tensor([14.0]), torch.tensor([shift]))
    inner = straight[0, 30:98]
    assert inner[:, 63:65].min() > 0.85
    assert asymmetry(inner[None]).item() < 0.05 < asymmetry(line[:, 30:98]).item()


def test_the_shift_down_runs_along_the_turned_midline() -> None:
    image = torch.zeros(1, 128, 128)
    # 20 pixels back along a midline that is turned by 30 degrees
    image[0, round(63.5 + 20 * np.cos(np.pi / 6)), round(63.5 - 20 * np.sin(np.pi / 6))] = 1
    thirty, none = torch.tensor([30.0]), torch.zeros(1)
    there = straighten(image, thirty, none, torch.tensor([20.0]))[0]
    row, column = divmod(int(there.argmax()), 128)
    assert abs(row - 63.5) < 1.6
    assert abs(column - 63.5) < 1.6


def test_a_mirrored_image_is_as_asymmetric() -> None:
    image = torch.rand(3, 16, 16)
    torch.testing.assert_close(asymmetry(image), asymmetry(image.flip(2)))
    symmetric = image + image.flip(2)
    assert asymmetry(symmetric).max() == 0


def test_two_passes_add_up_to_one() -> None:
    head = sampled(Head())
    # turned by 20 degrees about a point that lies 5 pixels to the right, then by 10 about the
    # middle of what was seen, then 3 pixels on
    midlines = network_midlines(head, Says((20.0, 5.0), (10.0, 3.0)))
    np.testing.assert_allclose(midlines.rotation_deg, 30, rtol=1e-5)
    # the network is shown a quarter of the pixels
    pixel_mm = 2 * head.pixel_mm
    middle = 5 * np.array([np.cos(np.deg2rad(20)), np.sin(np.deg2rad(20))])
    axis = np.array([np.cos(np.deg2rad(30)), np.sin(np.deg2rad(30))])
    np.testing.assert_allclose(midlines.shift_mm, (middle @ axis + 3) * pixel_mm, rtol=1e-5)


def test_the_second_pass_sees_what_the_first_straightened() -> None:
    head = sampled(Head(turned_deg=12, bleed_left_mm=500.0))
    network = Says((12.0, 0.0), (0.0, 0.0))
    network_midlines(head, network)
    first, second = (asymmetry(seen).mean().item() for seen in network.seen)
    assert second < 0.5 * first


def test_a_rough_answer_ends_in_the_same_plane_as_mirror_correlation() -> None:
    grid = axial_grid()
    volume = Head(turned_deg=9, left_mm=5).volume(grid)
    learned, classic = align_by_network(volume, Says((7.5, 0.5), (0.0, 0.0))), align(volume)
    assert learned.rotation_deg == pytest.approx(classic.rotation_deg, abs=0.3)
    np.testing.assert_allclose(learned.shift_mm, classic.shift_mm, atol=0.3)
    np.testing.assert_array_equal(learned.centre_mm, classic.centre_mm)


def test_a_volume_without_a_head_is_left_as_it_is() -> None:
    grid = axial_grid(num_slices=5, size=64)
    alignment = align_by_network(
        Volume(np.full(grid.shape, AIR_HU, np.float32), grid), AlignmentNet(SMALL).eval()
    )
    assert alignment.rotation_deg == 0
    np.testing.assert_array_equal(alignment.shift_mm, 0)


def test_a_network_comes_back_from_its_file(tmp_path: Path) -> None:
    network = AlignmentNet(SMALL).eval()
    torch.nn.init.normal_(network.numbers.weight)
    save_network(tmp_path / "net.safetensors", network)
    again = load_network(tmp_path / "net.safetensors")
    assert again.config == SMALL
    assert not again.training
    image = torch.rand(2, 64, 64)
    torch.testing.assert_close(again(image), network(image))
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


@pytest.mark.parametrize("content", [b"", b"no tensors", "other"])
def test_a_file_that_holds_no_alignment_network_is_refused(
    tmp_path: Path, content: bytes | str
) -> None:
    path = tmp_path / "net.safetensors"
    other = safetensors.torch.save({"a": torch.zeros(1)})
    path.write_bytes(content if isinstance(content, bytes) else other)
    with pytest.raises(ModelError, match=r"net\.safetensors: not an alignment network"):
        load_network(path)


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    weights = AlignmentNet(AlignmentNetConfig(base_width=8)).state_dict()
    header = {"alignment_net": '{"base_width": 4}'}
    path.write_bytes(safetensors.torch.save(weights, metadata=header))
    with pytest.raises(ModelError, match="not an alignment network"):
        load_network(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"net\.safetensors cannot be read"):
        load_network(tmp_path / "net.safetensors")
