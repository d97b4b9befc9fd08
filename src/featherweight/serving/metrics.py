"""Measurements of the server, for Prometheus: durations by stage, sizes of batches, refusals."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


class Metrics:
    """The Prometheus counters, gauges and histograms of one server."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def seconds(stage: str, help_text: str) -> Histogram:
            return Histogram(f"featherweight_{stage}_seconds", help_text, buckets=_SECONDS, registry=registry)

        self.tokenise = seconds("tokenise", "Time to tokenise the texts of a request")
        self.queue = seconds("queue", "Time between tokenising and the first batch of a request")
        self.infer = seconds("infer", "Time to compute a batch")
        self.answer = seconds("answer", "Time from a complete request to its probabilities")
        self.batch_texts = Histogram(
            "featherweight_batch_texts", "Texts computed at once", buckets=_TEXTS, registry=registry
        )
        self.batch_tokens = Histogram(
            "featherweight_batch_tokens", "Tokens computed at once, with padding", buckets=_TOKENS, registry=registry
        )
        self.responses = Counter(
            "featherweight_responses", "Responses by route and status", ["route", "status"], registry=registry
        )
        self.refusals = Counter("featherweight_refusals", "Refused requests by reason", ["reason"], registry=registry)
        self.gone = Counter(
            "featherweight_texts_dropped", "Texts not computed because their client had left", registry=registry
        )
        self.waiting = Gauge("featherweight_texts_waiting", "Texts accepted and not yet answered", registry=registry)
        self.connections = Gauge("featherweight_connections", "Open connections", registry=registry)

    def text(self) -> bytes:
        """All measurements in Prometheus' text format."""
        return generate_latest(self.registry)
