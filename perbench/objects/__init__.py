"""What a run keeps in the cluster's own objects: how far a bench pod is, and what was measured. Pure."""
