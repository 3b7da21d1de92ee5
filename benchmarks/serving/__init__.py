"""Cold start, warm latency, throughput, memory, size and cost of serving: measured in one run, as ratios.

The artifact of `make build` runs under Lambda's runtime interface emulator and runtime client. The last trained model
of recipe `default` lies in an object store behind a socket, and in another one that is as far away as S3. Every round
also measures, for comparison, a handler that does nothing, FastAPI and Mangum with one constant route, and TensorFlow
as it is usually deployed.
"""
