"""What counts as a head, and what does not."""

from dataclasses import replace

import numpy as np
import pytest

from config.errors import QualityError, Reason
from ml.phantom import Scan, make_phantom
from ml.quality import check_head, enclosed_tissue_ml
from ml.volume import Volume
from tests.support.ct_series import stack
from tests.support.heads import Head

HEAD = Head(holder=False).volume(stack())


def test_a_head_is_a_head() -> None:
    check_head(HEAD)


def test_a_synthetic_head_with_anatomy_is_a_head() -> None:
    check_head(make_phantom(3, (), scan=Scan(matrix=128, num_slices=20)).volume)


def test_the_enclosed_tissue_does_not_depend_on_the_sampling() -> None:
    coarse = enclosed_tissue_ml(HEAD)
    fine = enclosed_tissue_ml(Head(holder=False).volume(stack(size=256, pixel_mm=0.9)))
    assert fine == pytest.approx(coarse, rel=0.15)


def refused(volume: Volume) -> QualityError:
    with pytest.raises(QualityError) as caught:
        check_head(volume)
    assert caught.value.reason is Reason.QUALITY
    return caught.value


def test_without_a_skull_there_is_no_head() -> None:
    assert "No brain" in str(refused(replace(HEAD, hu=np.minimum(HEAD.hu, np.float32(100)))))


def test_an_empty_skull_is_no_head() -> None:
    hollow = np.where((HEAD.hu > -10) & (HEAD.hu < 90), np.float32(-1000), HEAD.hu)
    assert "No brain" in str(refused(replace(HEAD, hu=hollow)))


def test_noise_is_no_head() -> None:
    rng = np.random.default_rng(1)
    hu = rng.normal(0, 500, HEAD.hu.shape).astype(np.float32)
    assert "No brain" in str(refused(replace(HEAD, hu=hu)))


def test_grey_values_that_are_no_hounsfield_units_are_refused() -> None:
    grey = np.clip(HEAD.hu, 0, 255)
    assert "no air" in str(refused(replace(HEAD, hu=grey)))
