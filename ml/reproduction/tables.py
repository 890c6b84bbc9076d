"""Tables 1 to 5 of the paper, from the results of single patients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ml.evaluation.cases import KINDS, CaseResult
from ml.evaluation.curves import auc
from ml.evaluation.statistics import Interval, bootstrap, compare, holm, mean_interval
from ml.models import registry
from ml.reproduction.markdown import Table, interval, number, p_value
from ml.reproduction.paper import PUBLISHED, PUBLISHED_DIAGNOSIS
from ml.reproduction.parts import Json
from ml.reproduction.scales import ABLATION, COMPARED, NETWORKS, REFERENCE, TITLES


@dataclass(frozen=True)
class Measured:
    """What was measured of one network.

    Attributes
    ----------
    tested
        Results of the test patients, the same patients in the same order for every network.
    threshold
        From this case score on a patient is called positive; chosen on validation.
    config, published_config
        Of the network as it was trained, and as the paper has it.
    """

    tested: Sequence[CaseResult]
    threshold: float
    config: registry.Choices
    published_config: registry.Choices


Networks = Mapping[str, Measured]

STEPS: tuple[tuple[str, str], ...] = (
    ("unet", "unet-transformer"),
    ("unet-transformer", "sym-transnet"),
    ("unet", "sym-transnet"),
)
"""Steps of the ablation: what is added to what."""

RULES: Mapping[str, str] = {
    "any": "any lesion voxel (the paper's)",
    "score": "case score, threshold from validation",
}


def table_1(networks: Networks, seed: int) -> tuple[Table, ...]:
    """Dice of the compared networks with their parameters; and the paper's."""
    here, held = [], {}
    for name in COMPARED:
        measured = networks[name]
        million = registry.num_parameters(name, measured.config) / 1e6
        full = registry.num_parameters(name, measured.published_config) / 1e6
        dice = {kind: _dice(measured, kind, seed) for kind in KINDS}
        held[name] = {"parameters_million": million, "full_parameters_million": full, "dice": dice}
        printed = PUBLISHED[name].parameters_million
        cells = [TITLES[name], number(million, 3), number(full, 2), number(printed, 2)]
        here.append((*cells, *map(interval, dice.values())))
    columns = ("Network", "Params here, M", "full width, M", "paper, M")
    counts = [_num_present(networks[REFERENCE], kind) for kind in KINDS]
    first = Table(
        title="Table 1. Dice of the compared networks, mean over patients [95 % CI]",
        columns=(*columns, *(f"{k} (n={n})" for k, n in zip(KINDS, counts, strict=True))),
        rows=tuple(here),
        notes=("n: test patients who have it in truth; the others are left out of its mean.",),
        facts=held,
    )
    second = Table(
        title="Table 1 as printed in the paper (other patients, full width, 512 pixels)",
        columns=("Network", "paper, M", *KINDS),
        rows=tuple(
            (
                TITLES[name],
                number(PUBLISHED[name].parameters_million, 2),
                *(number(PUBLISHED[name].dice.get(kind)) for kind in KINDS),
            )
            for name in COMPARED
        ),
    )
    return first, second


def table_2(networks: Networks, seed: int) -> tuple[Table, ...]:
    """Test Sym-TransNet against each compared network, for each kind."""
    rows = []
    held: dict[str, Json] = {}
    patients = _patients(networks)
    for kind in KINDS:
        values = {name: _values(networks[name], kind) for name in COMPARED}
        found = compare(values, reference=REFERENCE, patients=patients, seed=seed)
        held[kind] = [vars(each) for each in found]
        rows += [
            (
                kind,
                TITLES[each.method],
                str(each.num_pairs),
                interval(each.mean_difference),
                number(each.rank_biserial, 2),
                p_value(each.p_rank_sum),
                p_value(each.p_signed_rank),
                p_value(each.p_holm),
            )
            for each in found
        ]
    table = Table(
        title=f"Table 2. {TITLES[REFERENCE]} against each network",
        columns=(
            "Kind",
            "against",
            "patients",
            "difference of Dice [95 % CI]",
            "rank-biserial r",
            "p rank-sum (the paper's)",
            "p signed-rank",
            "p signed-rank, Holm",
        ),
        rows=tuple(rows),
        notes=("Holm's correction is for the five networks, within each kind.",),
        facts=held,
    )
    return (table,)


def table_3(networks: Networks, seed: int) -> tuple[Table, ...]:
    """Ablation: Dice of its three networks, and a test of each step."""
    rows = tuple(
        (
            TITLES[name],
            *(interval(_dice(networks[name], kind, seed)) for kind in KINDS),
            number(PUBLISHED[name].dice["ICH"]),
        )
        for name in ABLATION
    )
    first = Table(
        title="Table 3. Ablation: Dice, mean over patients [95 % CI]",
        columns=("Network", *KINDS, "ICH in the paper"),
        rows=rows,
        notes=(
            (
                "One training of each network: the spread between seeds is not in these "
                "intervals. The experiment on symmetry (docs/experiments.md) has several seeds."
            ),
        ),
    )
    return first, _steps(networks, seed)


def _steps(networks: Networks, seed: int) -> Table:
    rows = []
    held: dict[str, Json] = {}
    patients = _patients(networks)
    for kind in KINDS:
        found = []
        for before, after in STEPS:
            values = {name: _values(networks[name], kind) for name in (after, before)}
            compared = compare(values, reference=after, patients=patients, seed=seed)
            found += [(before, after, each) for each in compared]
        corrected = holm([each.p_signed_rank for _, _, each in found])
        held[kind] = [
            {**vars(each), "from": before, "to": after, "p_holm": corrected_p}
            for (before, after, each), corrected_p in zip(found, corrected, strict=True)
        ]
        rows += [
            (
                kind,
                f"{TITLES[before]} → {TITLES[after]}",
                interval(each.mean_difference),
                p_value(each.p_rank_sum),
                p_value(each.p_signed_rank),
                p_value(corrected_p),
            )
            for (before, after, each), corrected_p in zip(found, corrected, strict=True)
        ]
    return Table(
        title="Table 3, continued. What each step adds",
        columns=(
            "Kind",
            "step",
            "difference of Dice [95 % CI]",
            "p rank-sum (the paper's)",
            "p signed-rank",
            "p signed-rank, Holm",
        ),
        rows=tuple(rows),
        notes=("Holm's correction is for the three steps, within each kind.",),
        facts=held,
    )


def table_4(networks: Networks, _seed: int) -> tuple[Table, ...]:
    """Confusion matrices of the diagnosis, by both rules."""
    rows, held = [], []
    for rule, title in RULES.items():
        for name in NETWORKS:
            calls = _calls(networks[name], rule)
            bleeds = [result.has_bleed for result in networks[name].tested]
            pairs = list(zip(bleeds, calls, strict=True))
            counted = {
                "true positive": pairs.count((True, True)),
                "false negative": pairs.count((True, False)),
                "false positive": pairs.count((False, True)),
                "true negative": pairs.count((False, False)),
            }
            held.append({"rule": rule, "network": name, **counted})
            rows.append((title, TITLES[name], *map(str, counted.values())))
    table = Table(
        title="Table 4. Diagnosis of a patient: confusion matrices",
        columns=(
            "Rule",
            "Network",
            "bleeds, called (TP)",
            "bleeds, not called (FN)",
            "no bleed, called (FP)",
            "no bleed, not called (TN)",
        ),
        rows=tuple(rows),
        notes=("The paper's table exchanges false positives and false negatives; this does not.",),
        facts=held,
    )
    return (table,)


def table_5(networks: Networks, seed: int) -> tuple[Table, ...]:
    """Accuracy, sensitivity and specificity of the diagnosis, by both rules, and the AUC."""
    rows, held = [], []
    for rule, title in RULES.items():
        for name in NETWORKS:
            shares = _shares(networks[name], rule, seed)
            held.append({"rule": rule, "network": name, **shares})
            printed = PUBLISHED_DIAGNOSIS.get(name)
            paper = (
                f"{printed.accuracy} / {printed.sensitivity} / {printed.specificity}"
                if printed is not None and rule == "any"
                else ""
            )
            cells = [interval(share, scale=100, digits=1) for share in shares.values()]
            rows.append((title, TITLES[name], *cells, paper))
    areas = tuple(
        (TITLES[name], interval(_auc(networks[name], seed)), number(networks[name].threshold, 3))
        for name in NETWORKS
    )
    return (
        Table(
            title="Table 5. Diagnosis of a patient, per cent [95 % CI]",
            columns=(
                "Rule",
                "Network",
                "accuracy",
                "sensitivity",
                "specificity",
                "in the paper",
            ),
            rows=tuple(rows),
            facts=held,
        ),
        Table(
            title="Table 5, continued. Area under the ROC curve of the case score",
            columns=("Network", "AUC [95 % CI]", "threshold from validation"),
            rows=areas,
        ),
    )


def threshold_of(validated: Sequence[CaseResult]) -> float:
    """Choose the case score from which a patient is called positive, on validation alone.

    The one with the highest sensitivity plus specificity (Youden 1950); of several the lowest, for
    a bleed that is missed weighs more; halfway to the next score below it.
    """
    scores = np.array([result.score for result in validated])
    bleeds = np.array([result.has_bleed for result in validated])
    if bleeds.all() or not bleeds.any():
        return 0.5
    rising = np.unique(scores)
    right = [
        float((scores[bleeds] >= score).mean() + (scores[~bleeds] < score).mean())
        for score in rising
    ]
    best = int(np.argmax(right))
    below = rising[best - 1] if best else 0.0
    return float((rising[best] + below) / 2)


def _calls(measured: Measured, rule: str) -> list[bool]:
    if rule == "any":
        return [result.any_voxel for result in measured.tested]
    return [result.score >= measured.threshold for result in measured.tested]


def _shares(measured: Measured, rule: str, seed: int) -> dict[str, Interval | None]:
    calls = _calls(measured, rule)
    pairs = [(call, result.has_bleed) for call, result in zip(calls, measured.tested, strict=True)]
    values: dict[str, list[float | None]] = {
        "accuracy": [float(call == bleeds) for call, bleeds in pairs],
        "sensitivity": [float(call) if bleeds else None for call, bleeds in pairs],
        "specificity": [None if bleeds else float(not call) for call, bleeds in pairs],
    }
    patients = [result.patient_id for result in measured.tested]
    return {name: mean_interval(held, patients, seed=seed) for name, held in values.items()}


def _auc(measured: Measured, seed: int) -> Interval | None:
    scores = np.array([result.score for result in measured.tested])
    bleeds = np.array([result.has_bleed for result in measured.tested])
    patients = [result.patient_id for result in measured.tested]
    return bootstrap(auc(scores, bleeds), patients, seed=seed)


def _dice(measured: Measured, kind: str, seed: int) -> Interval | None:
    patients = [result.patient_id for result in measured.tested]
    return mean_interval(_values(measured, kind), patients, seed=seed)


def _values(measured: Measured, kind: str) -> list[float | None]:
    return [result.of[kind].dice for result in measured.tested]


def _num_present(measured: Measured, kind: str) -> int:
    return sum(value is not None for value in _values(measured, kind))


def _patients(networks: Networks) -> list[str]:
    """Names of the test patients.

    Raises
    ------
    ValueError
        If the networks were not measured on the same patients in the same order.
    """
    named = {tuple(result.patient_id for result in each.tested) for each in networks.values()}
    if len(named) != 1:
        raise ValueError("the networks were measured on different patients")
    return list(named.pop())
