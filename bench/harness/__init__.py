"""The benchmark harness; `bench/run` starts it, bench/README.md tells where what is."""
