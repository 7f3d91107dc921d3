"""The API `perbench.dev/v1alpha1`: one set of models behind validation, CRD and reference.

Pure, except for `reading.read_file` (one file) and `generate` (writes the generated files).
"""
