"""What runs in the bench pod: the load engine, tasks, memory probes. Imports perbench, never the operator."""
