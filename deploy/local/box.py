"""The box that `up` and `status` print."""


def draw(title, rows):
    """A framed table of (label, value) rows, in plain Unicode, as wide as its longest line."""
    width = max((len(label) for label, _ in rows), default=0)
    lines = [f"{label.ljust(width)}  {value}" for label, value in rows]
    inner = max(len(line) for line in [title + " ", *lines])
    top = f"┌─ {title} " + "─" * (inner - len(title) - 1) + "┐"
    return "\n".join([top, *(f"│ {line.ljust(inner)} │" for line in lines), "└" + "─" * (inner + 2) + "┘"])
