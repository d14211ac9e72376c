"""Flame graphs: call stacks with their counts to an SVG that a browser shows without further files.

A box is a function in the stacks below it; its width is its share of all samples, callers below callees. The text of a
box that is too narrow for it comes up when the pointer rests there.
"""

from collections import Counter
from dataclasses import dataclass, field
from html import escape

WIDTH, ROW, MARGIN, HEAD = 1200, 17, 10, 40  # pixels
NARROWEST = 0.3  # pixels; smaller boxes are left out
CHARACTER = 6.6  # pixels of a letter of the font


@dataclass
class Node:
    samples: int = 0
    callees: dict[str, "Node"] = field(default_factory=dict)


def tree_of(stacks: Counter[tuple[str, ...]]) -> Node:
    """`stacks`: outermost caller first."""
    root = Node()
    for stack, samples in stacks.items():
        node = root
        node.samples += samples
        for function in stack:
            node = node.callees.setdefault(function, Node())
            node.samples += samples
    return root


def depth_of(node: Node) -> int:
    return 1 + max(map(depth_of, node.callees.values()), default=0)


def colour(function: str) -> str:
    """Kernel blue, ours orange, the rest yellow; shades by name, so that neighbours differ."""
    shade = sum(function.encode()) % 40
    if function.endswith("_[k]"):
        return f"hsl(210 60% {60 + shade / 3:.0f}%)"
    return f"hsl({25 if 'sluice::' in function else 50} 85% {58 + shade / 3:.0f}%)"


def boxes(node: Node, name: str, x: float, level: int, scale: float, bottom: int):
    """Elements of `node` and all above it; `level` counts from the bottom."""
    width = node.samples * scale
    if width < NARROWEST:
        return
    y = bottom - (level + 1) * ROW
    share = width / (WIDTH - 2 * MARGIN)
    room = int((width - 6) / CHARACTER)
    text = name if len(name) <= room else name[: room - 2] + ".." if room > 4 else ""
    yield (
        f'<g><title>{escape(name)}: {node.samples:,} samples, {share:.1%}</title>'
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 1}" rx="1" fill="{colour(name)}"/>'
        f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(text)}</text></g>'
    )
    for callee, child in sorted(node.callees.items()):
        yield from boxes(child, callee, x, level + 1, scale, bottom)
        x += child.samples * scale


def svg(stacks: Counter[tuple[str, ...]], title: str) -> str:
    root = tree_of(stacks)
    bottom = HEAD + depth_of(root) * ROW
    scale = (WIDTH - 2 * MARGIN) / max(root.samples, 1)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + MARGIN}" width="{WIDTH}">',
            "<style>text{font:11px monospace} rect{stroke:#fff;stroke-width:.4}</style>",
            f'<rect width="100%" height="100%" fill="#fff"/><text x="{MARGIN}" y="24">{escape(title)}</text>',
            *boxes(root, "all", MARGIN, 0, scale, bottom),
            "</svg>\n",
        ]
    )
