"""The audit trail (PS3.15 A.5): who did what with which study, kept in a chain and handed on.

Patients are named by what stands for them in the index (`node.pseudonyms`), never by an identifier;
studies by their UID and by the index's number. Writing a message never stops what it is about.
"""
