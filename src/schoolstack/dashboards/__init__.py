"""Dashboards of what Prometheus knows, for Grafana: small sources here, JSON out."""

from schoolstack.dashboards.board import Board
from schoolstack.dashboards.boards import of_application, of_school
from schoolstack.dashboards.queries import Query, metrics, queries

__all__ = ["Board", "Query", "metrics", "of_application", "of_school", "queries"]
