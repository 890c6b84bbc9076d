"""Data sets of head CT on the disk: made from published layouts, split by patient, with digests."""
