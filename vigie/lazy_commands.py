"""How does the command line know its commands without importing what they need? Each comes when it is called."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class Place(NamedTuple):
    """Where a command is (``module:attribute``; a function, or a :class:`typer.Typer` of several), and what it is for."""

    where: str
    help: str

    def load(self, name: str) -> Any:
        """Return the command itself."""
        module, _, attribute = self.where.partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            group = typer.main.get_group(found)
            group.name = name
            return group
        alone = typer.Typer(add_completion=False)
        alone.command(name)(found)
        return typer.main.get_command(alone)


class LazyCommands(TyperGroup):
    """A group that imports the one command which is called, and for its own help none."""

    places: ClassVar[Mapping[str, Place]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, in the order of the help."""
        return list(self.places)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command's name and purpose only: what help and suggestions need."""
        place = self.places.get(cmd_name)
        return None if place is None else TyperCommand(cmd_name, help=place.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is called, imported now."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and self.places[name or ""].load(name or ""), rest
