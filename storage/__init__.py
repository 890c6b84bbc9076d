"""What survives a restart: received files, the index, results and deliveries; interprets no DICOM."""
