"""The steps of requests as spans of OpenTelemetry, and counted for Prometheus. Each needs an extra."""
