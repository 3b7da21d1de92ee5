"""Cold start, warm latency, throughput, memory, size and cost of serving: measured in one run, as ratios.

Measured is the artifact that `make build` made, under Lambda's runtime interface emulator and runtime client, with
the last trained model of recipe `default` in an object store behind a socket. Beside it, round by round: a handler
that does nothing, FastAPI and Mangum with one constant route, and TensorFlow as it is usually deployed.
"""
