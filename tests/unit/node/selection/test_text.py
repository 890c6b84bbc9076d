"""What sites write, in their languages, and what it says about a series."""

import pytest

from node.selection.text import (
    is_agent,
    is_hard_kernel,
    names_a_head,
    names_contrast,
    other_examination,
)


@pytest.mark.parametrize(
    "text",
    [
        "CT HEAD", "ct head w/o", "STD BRAIN 5MM", "1A TRAUMA/PLAIN HEAD DM /Head", "HeadRoutine",
        "ED_HEAD_NEURO_SEQ", "CCT nativ", "Schädel", "SCHAEDEL-CT", "Kopf", "Gehirn", "TÊTE",
        "crâne sans injection", "Encéphale", "cráneo", "CRÂNIO", "Cabeza", "encefalo", "Hersenen",
        "Hjärna", "HJERNE", "Głowa", "Hlava", "Pää", "ГОЛОВНОЙ МОЗГ", "Εγκέφαλος", "颅脑", "頭部",
        "두부 CT", "دماغ", "STROKE",
    ],
)  # fmt: skip
def test_a_head_is_named_in_many_ways(text: str) -> None:
    assert names_a_head(["", text]) is True


@pytest.mark.parametrize("text", ["Thorax", "e+1", "CT ABDOMEN", "UHRENCT", "Bras", "PAAR", "5 mm"])
def test_other_descriptions_name_no_head(text: str) -> None:
    assert names_a_head([text, " "]) is False


def test_without_any_description_nothing_is_known() -> None:
    assert names_a_head(["", "  "]) is None


@pytest.mark.parametrize(
    ("series", "protocol", "term"),
    [
        ("CTA Head", "", "CTA"),
        ("Head Angio", "", "ANGIO"),
        ("", "HeadNeckCTA", "CTA"),
        ("Brain perfusion", "", "PERFUS"),
        ("NNH", "Kopf", "NNH"),
        ("Sinuses", "", "SINUS"),
        ("Orbita", "", "ORBIT"),
        ("C-Spine 1 mm", "Head", "SPINE"),
        ("PreMonitoring", "", "MONITORING"),
        ("5 mm", "TRAUMA HEAD C-SPINE", "SPINE"),
        ("Head 5 mm", "TRAUMA HEAD C-SPINE", ""),
        ("STD BRAIN 5MM", "1A TRAUMA/PLAIN HEAD DM /Head", ""),
        ("Surface", "", ""),
        ("", "", ""),
    ],
)
def test_other_examinations_are_told_by_series_then_protocol(
    series: str, protocol: str, term: str
) -> None:
    assert other_examination(series, protocol) == term


@pytest.mark.parametrize(
    "text",
    [
        "Head with contrast", "C+ Brain", "Brain +C", "Schädel mit KM", "Head post con", "CECT",
        "crane avec injection", "cerebro con contraste", "HEAD W/ IV CON", "contrast-enhanced",
        "venous phase", "W CONTRAST AND WO CONTRAST",
    ],
)  # fmt: skip
def test_contrast_medium_is_named_in_many_ways(text: str) -> None:
    assert names_contrast(text, "")
    assert names_contrast("5 mm", text)


@pytest.mark.parametrize(
    "text",
    [
        "CT BRAIN WO IVCON", "Head W/O contrast", "HEAD WITHOUT", "without any contrast",
        "Schädel ohne KM", "Schaedel nativ", "non-contrast head", "NONCON HEAD", "NCCT", "PLAIN",
        "crane sans injection", "sans produit de contraste", "pre contrast", "unenhanced",
        "cerebro sin contraste", "Head 5 mm (enhanced conversion)", "AC+ 5mm", "",
    ],
)  # fmt: skip
def test_absence_of_contrast_medium_is_named_in_many_ways(text: str) -> None:
    assert not names_contrast(text, "")


def test_what_the_series_says_of_contrast_medium_outweighs_the_protocol() -> None:
    assert not names_contrast("Kopf nativ", "Kopf KM")
    assert names_contrast("Kopf KM", "Kopf nativ")


@pytest.mark.parametrize("agent", ["", "NONE", "None ", "N/A", "no", "ohne", "NON-CONTRAST"])
def test_some_agents_are_none(agent: str) -> None:
    assert not is_agent(agent)


@pytest.mark.parametrize("agent", ["ISOVUE300/100", "Omnipaque", "APPLIED", "IV"])
def test_any_other_agent_is_one(agent: str) -> None:
    assert is_agent(agent)


@pytest.mark.parametrize(
    "kernel", ["H60s", "H70h", "Hr68h\\2", "BONE", "BONEPLUS", "YB", "FC30", "FC81", "LUNG", "D"]
)
def test_kernels_for_bone_are_hard(kernel: str) -> None:
    assert is_hard_kernel(kernel)


@pytest.mark.parametrize(
    "kernel", ["H31s", "J40s\\3", "Hr40f", "STANDARD", "STD+", "SOFT", "UB", "FC26", "FC68", ""]
)
def test_kernels_for_brain_are_not(kernel: str) -> None:
    assert not is_hard_kernel(kernel)


def test_a_description_of_absurd_length_takes_no_time() -> None:
    accents = "\u0301\u0323" * 400_000  # each one is sorted among all others
    assert names_a_head([f"Head {accents}"]) is True
    assert not names_contrast(accents, accents)
