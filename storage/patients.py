"""What stands for the patients of the studies, all at once: for the upgrade of an index."""

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.tables import StudyRow


class Patients:
    """Patients within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def have(self, prefix: str) -> bool:
        """Whether there is a study whose patient's key begins so."""
        found = sa.exists().where(StudyRow.patient_key.startswith(prefix, autoescape=True))
        return bool(self._session.scalar(sa.select(found)))

    def rename(self, new_name: Callable[[str], str], *, unless_prefix: str) -> int:
        """Replace the keys that do not begin with a prefix; returns of how many studies."""
        rows = self._session.scalars(
            sa.select(StudyRow)
            .where(~StudyRow.patient_key.startswith(unless_prefix, autoescape=True))
            .with_for_update()
        ).all()
        for row in rows:
            row.patient_key = new_name(row.patient_key)
        return len(rows)
