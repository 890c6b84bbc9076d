"""U-Net + transformer: Sym-TransNet but for its prior."""

import torch

from ml.models.registry import num_parameters
from tests.unit.ml.models.networks import image, settled


def test_it_is_sym_transnet_without_mirroring() -> None:
    plain = settled("unet-transformer")
    ablation = settled("sym-transnet", mirroring="none")
    ablation.load_state_dict(plain.state_dict())
    assert torch.equal(plain(image()), ablation(image()))


def test_it_is_not_sym_transnet() -> None:
    plain = settled("unet-transformer")
    symmetric = settled("sym-transnet")
    symmetric.load_state_dict(plain.state_dict(), strict=False)
    symmetric.get_submodule("bridge.mirrored_embedding").load_state_dict(
        plain.get_submodule("bridge.embedding").state_dict()
    )
    assert (plain(image()) - symmetric(image())).abs().max() > 1e-3


def test_it_lacks_the_second_embedding_alone() -> None:
    second = num_parameters("sym-transnet", {}) - num_parameters("unet-transformer", {})
    assert second == 512 * 512 + 512
