"""What survives a restart: received files, the index, results, deliveries; interprets no DICOM."""
