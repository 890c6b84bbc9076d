"""The DICOM node: joins storage and ml, which do not know each other."""
