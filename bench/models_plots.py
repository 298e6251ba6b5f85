"""The table and plots of ``make models`` as files: plain SVG, so that the page needs no tool to be read."""

from pathlib import Path

from bench.written import into

_SIZE, _EDGE = 260, 40


def calibration_svg(title: str, table: list[tuple[float, float, int]]) -> str:
    """Draw said against happened; a dot's area is its share of the answers."""
    total = sum(count for _, _, count in table)
    body = [f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="#999" stroke-dasharray="4"/>']
    for said, happened, count in table:
        radius = 2 + 14 * (count / total) ** 0.5
        body.append(f'<circle cx="{_x(said):.1f}" cy="{_y(happened):.1f}" r="{radius:.1f}" fill="#2563eb" fill-opacity="0.6"/>')
    return _frame(title, "said", "happened", body)


def coverage_svg(title: str, parts: list[float | None]) -> str:
    """Draw the share of outcomes within their 80 % interval, by eighth of the history."""
    body = [
        f'<rect x="{_x(0)}" y="{_y(0.85):.1f}" width="{_SIZE}" height="{_SIZE * 0.1:.1f}" fill="#16a34a" fill-opacity="0.2"/>'
    ]
    for number, share in enumerate(parts):
        if share is not None:
            x = _x((number + 0.5) / len(parts))
            body.append(f'<circle cx="{x:.1f}" cy="{_y(share):.1f}" r="5" fill="#2563eb"/>')
    return _frame(title, "eighths of the history", "within the 80 % interval", body)


def write(
    folder: Path,
    table: list[str],
    costs: list[str],
    plots: dict[str, list[tuple[float, float, int]]],
    covered: dict[str, list[float | None]],
) -> None:
    """Write the plots into ``folder``/models and the table between the marks of ``folder``/models.md."""
    images = folder / "models"
    images.mkdir(exist_ok=True)
    shown = []
    for kind, drawn in (
        ("calibration", {title: calibration_svg(title, rows) for title, rows in plots.items()}),
        ("coverage", {title: coverage_svg(title, rows) for title, rows in covered.items()}),
    ):
        for title, svg in drawn.items():
            name = f"{kind}-{title.replace(' ', '-').lower()}.svg"
            (images / name).write_text(svg, encoding="utf-8")
            shown.append(f"![{kind}, {title}](models/{name})")
    into(folder / "models.md", "models", [*table, "", *costs, "", *shown])


def _x(share: float) -> float:
    return _EDGE + share * _SIZE


def _y(share: float) -> float:
    return _EDGE + (1 - share) * _SIZE


def _frame(title: str, x: str, y: str, body: list[str]) -> str:
    whole, middle = _SIZE + 2 * _EDGE, _EDGE + _SIZE / 2
    ticks = "".join(
        f'<text x="{_x(v)}" y="{_y(0) + 14}" text-anchor="middle">{v:g}</text>'
        f'<text x="{_EDGE - 5}" y="{_y(v) + 4}" text-anchor="end">{v:g}</text>'
        for v in (0, 0.5, 1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{whole}" viewBox="0 0 {whole} {whole}" '
        f'font-family="sans-serif" font-size="11"><title>{title}</title><rect width="{whole}" height="{whole}" fill="#fff"/>'
        f'<rect x="{_EDGE}" y="{_EDGE}" width="{_SIZE}" height="{_SIZE}" fill="none" stroke="#333"/>{ticks}'
        f'<text x="{middle}" y="{_EDGE - 14}" text-anchor="middle" font-weight="bold">{title}</text>'
        f'<text x="{middle}" y="{whole - 8}" text-anchor="middle">{x}</text>'
        f'<text x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">{y}</text>{"".join(body)}</svg>\n'
    )
