"""The page, the API and the metrics: how Vigie is seen from outside."""

from stream.readings.board import Board, ViewSource
from stream.web.app import build_web
from stream.web.server import CannotListen, Listening, serve

__all__ = ["Board", "CannotListen", "Listening", "ViewSource", "build_web", "serve"]
