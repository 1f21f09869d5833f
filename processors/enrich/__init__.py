"""Windows with price, cost, objective and model card."""

from processors.enrich.step import EnrichPolicy, enrich, step

__all__ = ["EnrichPolicy", "enrich", "step"]
