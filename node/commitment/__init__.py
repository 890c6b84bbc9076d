"""Storage commitment, Push Model (PS3.4 Annex J), in both roles.

As a user, the node asks each destination to keep a job's results safe (`asking`), and acts on the
answer, which comes on the same association or on a new one (`answers`). As a provider, if the site
wants it, the node answers requests of its senders (`granting`).
"""
