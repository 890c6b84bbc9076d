"""What the site's settings change of the model's word, and how results tell of it."""

import pytest

from config.errors import SettingsError
from config.settings import AnalysisSettings, IdentitySettings, Settings
from ml.volume import Subtype
from node.results.identity import ContentQualification
from node.roles import model_identity, node_identity, thresholds_of
from tests.unit.ml.test_inference import CARD


def _site(**analysis: object) -> Settings:
    return Settings(analysis=AnalysisSettings.model_validate(analysis))


def test_without_settings_the_model_decides() -> None:
    assert thresholds_of(_site(), CARD) == CARD.thresholds


def test_the_site_may_set_scores_volumes_and_certainty() -> None:
    site = _site(
        lower_score=0.1,
        upper_score=0.9,
        minimum_ml={"SDH": 2.5},
        minimum_certainty_percent={"SAH": 60.0},
    )
    thresholds = thresholds_of(site, CARD)
    assert (thresholds.lower_score, thresholds.upper_score) == (0.1, 0.9)
    assert thresholds.minimum_of(Subtype.SDH) == 2.5
    assert thresholds.minimum_of(Subtype.IPH) == CARD.thresholds.minimum_of(Subtype.IPH)
    assert thresholds.minimum_certainty_of(Subtype.SAH) == 60.0
    assert thresholds.minimum_certainty_of(Subtype.IPH) == 0.0


def test_a_lower_score_above_the_upper_one_is_a_mistake_that_is_explained() -> None:
    with pytest.raises(SettingsError, match=r"lower_score 0\.7 .* upper_score 0\.6"):
        thresholds_of(_site(lower_score=0.7), CARD)


def test_a_model_with_other_thresholds_has_another_device_uid() -> None:
    own = model_identity(_site(), CARD)
    assert model_identity(_site(), CARD) == own
    for change in ({"upper_score": 0.9}, {"minimum_ml": {"SDH": 2.5}}):
        assert model_identity(_site(**change), CARD).device_uid != own.device_uid


def test_results_of_phantoms_say_service_and_approved_ones_say_product() -> None:
    phantom = Settings(identity=IdentitySettings(content_qualification="SERVICE"))
    assert node_identity(phantom).content_qualification is ContentQualification.SERVICE
    approved = Settings(
        identity=IdentitySettings(approved_for_diagnosis=True, approval_reference="K000000")
    )
    assert node_identity(approved).content_qualification is ContentQualification.PRODUCT
    assert node_identity(Settings()).content_qualification is ContentQualification.RESEARCH
