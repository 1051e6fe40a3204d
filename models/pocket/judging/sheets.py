"""Contact sheets and the loss curve, drawn with Pillow only."""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK, PAPER, GRID, LINE = (30, 30, 40), (255, 255, 255), (222, 222, 228), (40, 90, 200)


def contact_sheet(rows: list[tuple[str, list[np.ndarray]]], columns: list[str], path: Path, cell: int = 96) -> None:
    """Writes labelled rows of uint8 pictures under column titles (lines split by "|")."""
    left, top, gap = 104, 34, 4
    width = left + len(columns) * (cell + gap)
    sheet = Image.new("RGB", (width, top + len(rows) * (cell + gap)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for j, title in enumerate(columns):
        for line, text in enumerate(title.split("|")):
            draw.text((left + j * (cell + gap) + 2, 3 + 13 * line), text, INK, font)
    for i, (label, pictures) in enumerate(rows):
        y = top + i * (cell + gap)
        for line, text in enumerate(label.split("|")):
            draw.text((4, y + cell // 2 - 8 + 13 * line), text, INK, font)
        for j, picture in enumerate(pictures):
            sheet.paste(Image.fromarray(picture).resize((cell, cell), Image.BICUBIC), (left + j * (cell + gap), y))
    sheet.save(path, optimize=True)


def loss_curves(logs: list[tuple[str, Path]], path: Path) -> None:
    """Plots the running loss of JSON-lines logs over minutes of training, one panel each."""
    width, height, margin = 520, 300, 46
    sheet = Image.new("RGB", (width * len(logs), height), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for panel, (title, log) in enumerate(logs):
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        points = [(r["seconds"] / 60, r["loss"]) for r in rows if "loss" in r]
        longest = max(x for x, _ in points)
        high = sorted(y for _, y in points)[int(len(points) * .97)] * 1.1
        low = min(y for _, y in points) * .9
        left, right, top, bottom = panel * width + margin, (panel + 1) * width - 16, 30, height - margin

        def spot(x, y):
            return left + (right - left) * x / longest, bottom - (bottom - top) * (min(y, high) - low) / (high - low)

        for k in range(6):
            value, minute = low + (high - low) * k / 5, longest * k / 5
            y, x = spot(0, value)[1], spot(minute, low)[0]
            draw.line((left, y, right, y), GRID)
            draw.text((panel * width + 6, y - 7), f"{value:.3f}", INK, font)
            draw.text((x - 8, bottom + 6), f"{minute:.0f}", INK, font)
        draw.line([spot(x, y) for x, y in points], LINE, 2)
        draw.text((left, 8), title, INK, font)
        draw.text(((left + right) // 2 - 30, bottom + 22), "minutes", INK, font)
    sheet.save(path, optimize=True)
