"""Telling others of reports: webhooks and HL7 v2, beside the results that destinations get."""

from node.notifying.notifier import Notifier

__all__ = ["Notifier"]
