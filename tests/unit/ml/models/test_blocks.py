"""Convolution blocks, and the checks of shapes."""

import pytest
import torch

from ml.models.blocks import ConvBlock, convolution, enlarge, require_shape, resize_like


def test_each_convolution_is_normalised_and_rectified() -> None:
    names = [type(layer).__name__ for layer in ConvBlock(2, 4, num_convolutions=2)]
    assert names == ["Conv2d", "BatchNorm2d", "ReLU"] * 2


@pytest.mark.parametrize(("size", "dilation"), [(1, 1), (3, 1), (3, 4), (7, 1)])
def test_a_convolution_keeps_the_size_of_the_map(size: int, dilation: int) -> None:
    first, norm = convolution(2, 4, size=size, dilation=dilation)
    assert norm(first(torch.rand(1, 2, 12, 9))).shape == (1, 4, 12, 9)


def test_enlarging_keeps_areas_where_they_are() -> None:
    left_half = torch.tensor([[1.0, 0.0]]).reshape(1, 1, 1, 2)
    assert enlarge(left_half).flatten().tolist() == [1.0, 0.75, 0.25, 0.0] * 2


def test_resizing_takes_rows_and_columns_from_the_other_map() -> None:
    assert resize_like(torch.rand(2, 3, 4, 4), torch.rand(1, 9, 7, 5)).shape == (2, 3, 7, 5)


@pytest.mark.parametrize("shape", [(64, 64), (1, 64, 64), (1, 3, 64, 64), (1, 1, 1, 64, 64)])
def test_what_is_no_batch_of_images_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"the network wants \(B, 1, Y, X\)"):
        require_shape(torch.zeros(shape), channels=1, multiple=8, size=None)
