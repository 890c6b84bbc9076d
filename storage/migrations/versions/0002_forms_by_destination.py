"""Forms by destination: what is refused, what replaces it, and what to write it from."""

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"

STATES = ("PENDING", "SENT", "DEAD")
CHECK = "ck_delivery_state"


def upgrade() -> None:
    op.create_table(
        "refusal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("uid", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_refusal"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_refusal_job_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_refusal_destination", "refusal", ["destination"])
    with op.batch_alter_table("job") as job:
        job.add_column(sa.Column("analysed_json", sa.Text(), nullable=True))
    _restrict_states((*STATES, "REPLACED"))


def downgrade() -> None:
    op.execute("DELETE FROM delivery WHERE state = 'REPLACED'")
    _restrict_states(STATES)
    with op.batch_alter_table("job") as job:
        job.drop_column("analysed_json")
    op.drop_table("refusal")


def _restrict_states(states: tuple[str, ...]) -> None:
    names = ", ".join(f"'{state}'" for state in states)
    with op.batch_alter_table("delivery", table_kwargs={"sqlite_autoincrement": True}) as delivery:
        delivery.drop_constraint(op.f(CHECK), type_="check")
        delivery.create_check_constraint(op.f(CHECK), f"state IN ({names})")
