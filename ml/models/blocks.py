"""Convolution blocks that the networks share, and the checks of what they are built from.

Axes: B batch, C channel, Y row, X column.
"""

from typing import Any, ClassVar, Protocol

from torch import Tensor, nn
from torch.nn import functional


class ConvBlock(nn.Sequential):
    """Convolutions of 3x3, each followed by batch normalisation and ReLU.

    Parameters
    ----------
    in_channels, out_channels
        Channels before the first and after every convolution.
    num_convolutions
        How many; the paper's stages have one.
    dilation
        Pixels between the taps of each convolution; the size of the map stays the same.
    """

    def __init__(
        self, in_channels: int, out_channels: int, num_convolutions: int = 1, dilation: int = 1
    ) -> None:
        layers: list[nn.Module] = []
        for i in range(num_convolutions):
            channels = in_channels if i == 0 else out_channels
            layers += convolution(channels, out_channels, size=3, dilation=dilation)
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


def convolution(
    in_channels: int, out_channels: int, *, size: int, stride: int = 1, dilation: int = 1
) -> list[nn.Module]:
    """Return a convolution without bias and the batch normalisation that follows it.

    Parameters
    ----------
    in_channels, out_channels
        Channels before and after.
    size
        Rows and columns of the kernel, odd; the map is padded so that only `stride` shrinks it.
    stride, dilation
        Of the convolution.
    """
    padding = dilation * (size // 2)
    return [
        nn.Conv2d(in_channels, out_channels, size, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(out_channels),
    ]


def enlarge(feature_BCYX: Tensor, factor: int = 2) -> Tensor:
    """Enlarge a feature map bilinearly; pixel areas, not pixel centres, stay where they are."""
    return functional.interpolate(
        feature_BCYX, scale_factor=factor, mode="bilinear", align_corners=False
    )


def resize_like(feature_BCYX: Tensor, like_BCYX: Tensor) -> Tensor:
    """Bring a feature map bilinearly to the rows and columns of another."""
    return functional.interpolate(
        feature_BCYX, size=like_BCYX.shape[2:], mode="bilinear", align_corners=False
    )


class Configuration(Protocol):
    """What each network's frozen configuration is."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


def require_positive(config: Configuration, *names: str, least: int = 1) -> None:
    """Refuse a configuration in which one of these fields is below `least`.

    Raises
    ------
    ValueError
        If it is.
    """
    for name in names:
        value = getattr(config, name)
        if value < least:
            raise ValueError(f"{name} is {value}, it must be at least {least}")


def require_heads(width: int, num_heads: int) -> None:
    """Refuse attention whose heads cannot share the width of a token equally.

    Raises
    ------
    ValueError
        If they cannot.
    """
    if width % num_heads:
        raise ValueError(f"width {width} is not divisible by {num_heads} heads")


def require_shape(image_BCYX: Tensor, *, channels: int, multiple: int, size: int | None) -> None:
    """Refuse an image that the network was not built for.

    Parameters
    ----------
    image_BCYX
        The input.
    channels
        Channels that it must have.
    multiple
        Rows and columns must be a multiple of this.
    size
        Rows and columns that it must have; None if any will do.

    Raises
    ------
    ValueError
        If its shape is another one.
    """
    shape = tuple(image_BCYX.shape)
    if len(shape) != 4 or shape[1] != channels:
        raise ValueError(f"the image has shape {shape}, the network wants (B, {channels}, Y, X)")
    rows, columns = shape[2:]
    if size is not None and (rows, columns) != (size, size):
        raise ValueError(f"the image is {rows}x{columns}, the network was built for {size}x{size}")
    if rows % multiple or columns % multiple:
        raise ValueError(
            f"the image is {rows}x{columns}, rows and columns must be multiples of {multiple}"
        )
