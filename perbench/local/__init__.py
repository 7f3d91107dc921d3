"""Local mode: the models of a `PERBenchmark` as processes of this machine. A rim: files, processes, terminal."""
