"""The digest of code: blind to what does nothing, awake to what does."""

import pytest

from ml.reproduction.code import code_digest, modules_behind, source_digest

SOURCE = '''"""Module."""

def double(value: float) -> float:
    """Double a value."""
    return 2 * value
'''


def test_comments_docstrings_and_layout_change_nothing() -> None:
    other = SOURCE.replace('"""Double a value."""', '"""Twice."""\n    # why').replace("2 * ", "2*")
    assert source_digest(other) == source_digest(SOURCE)


def test_code_changes_it() -> None:
    assert source_digest(SOURCE.replace("2 *", "3 *")) != source_digest(SOURCE)
    assert source_digest(SOURCE.replace("return 2 * value", "return None")) != source_digest(SOURCE)


def test_a_network_depends_on_its_own_modules_alone() -> None:
    behind = modules_behind("ml.models.sym_transnet_lite", within="ml.models")
    assert "models/sym_transnet_lite.py" in behind
    assert "models/symmetric_transformer.py" in behind
    assert "models/blocks.py" in behind
    assert not {"models/hr_net.py", "models/registry.py", "volume.py"} & set(behind)
    without = modules_behind(
        "ml.models.sym_transnet_lite", within="ml.models", without=["ml.models.blocks"]
    )
    assert set(behind) - set(without) == {"models/blocks.py"}


def test_a_file_that_was_moved_is_noticed() -> None:
    assert code_digest(["volume.py"]) != code_digest(["volume.py", "scoring.py"])
    with pytest.raises(ValueError, match=r"no module of ml is gone\.py"):
        code_digest(["volume.py", "gone.py"])
