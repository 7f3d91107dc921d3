"""The API `perbench.dev/v1alpha1`: one set of models behind validation, CRD and reference. No I/O here."""
