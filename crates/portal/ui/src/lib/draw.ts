// Draws the matrix on a canvas. All sizes are CSS pixels; the caller has scaled the context for the screen.

import type { Matrix } from './api';
import { cellAt, step, type Lens } from './matrix';

/** A cell is square until it is this high; wider ones fill the place that a small group leaves. */
const CELL_HEIGHT_MAX = 44;
const CELL_WIDTH_MAX = 112;
/** Cells of at least this height hold their figure. */
const CELL_TEXT = 30;
/** Width of the outline of an improved pair, where there is room for it. */
const OUTLINE = 2.5;
/** Cells of at least this side have a name at their row and column. */
const CELL_LABEL = 11;
/** Gap between cells, once they are large enough to spare it. */
const GAP_FROM = 10;
const LABEL_MAX = 96;
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif';

export interface Palette {
  heat: string[];
  textLow: string;
  textHigh: string;
  ink: string;
  soft: string;
  line: string;
  sheet: string;
  improved: string;
  focus: string;
}

/** Where everything is. */
export interface Layout {
  size: number;
  cell: number;
  high: number;
  gap: number;
  left: number;
  top: number;
  width: number;
  height: number;
  isUpright: boolean;
}

export function layout(context: CanvasRenderingContext2D, matrix: Matrix, width: number): Layout {
  const size = matrix.members.length;
  context.font = `12px ${FONT}`;
  const widest = Math.max(...matrix.members.map(({ name }) => context.measureText(name).width));
  const label = Math.min(LABEL_MAX, Math.ceil(widest) + 10);
  const fit = (left: number): number => Math.min(CELL_WIDTH_MAX, Math.max(2, Math.floor((width - left) / size)));
  const isLabelled = fit(label) >= CELL_LABEL;
  const left = isLabelled ? label : 0;
  const cell = fit(left);
  const isUpright = isLabelled && widest > cell - 4;
  const top = !isLabelled ? 0 : isUpright ? label : 22;
  const high = Math.min(cell, CELL_HEIGHT_MAX);
  const gap = cell >= GAP_FROM ? Math.max(1, Math.round(high / 20)) : 0;
  return { size, cell, high, gap, left, top, width: left + size * cell, height: top + size * high, isUpright };
}

export function paint(
  context: CanvasRenderingContext2D, matrix: Matrix, lens: Lens, place: Layout, colors: Palette, own: number | null,
  at: { row: number; column: number } | null,
): void {
  context.clearRect(0, 0, place.width, place.height);
  fill(context, matrix, lens, place, colors);
  if (place.high >= CELL_TEXT) figures(context, matrix, lens, place, colors);
  if (place.left > 0) labels(context, matrix, place, colors, own, at);
  if (at && place.left === 0) bands(context, place, at, colors);
  if (at) {
    const isImproved = cellAt(matrix, at.row, at.column)?.improved === true;
    frame(context, place, at.row, at.column, colors.focus, 2, isImproved ? OUTLINE : 0);
  }
}

/** One pixel per cell, scaled up: the cost hardly depends on the size of the group. */
function fill(
  context: CanvasRenderingContext2D, matrix: Matrix, lens: Lens, place: Layout, colors: Palette,
): void {
  const { size, cell, high, left, top, gap } = place;
  const pixels = new ImageData(size, size);
  const shades = colors.heat.map(rgb);
  matrix.cells.forEach((entry, index) => {
    const value = entry && lens.value(entry);
    if (!entry || Math.floor(index / size) === index % size) return;
    const shade = shades[value === null ? 0 : step(lens, value)] ?? [0, 0, 0];
    pixels.data.set([...shade, 255], index * 4);
  });
  const small = new OffscreenCanvas(size, size);
  small.getContext('2d')?.putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, left, top, size * cell, size * high);
  context.fillStyle = colors.sheet;
  for (let i = 0; gap > 0 && i <= size; i += 1) {
    context.fillRect(left + i * cell - gap / 2, top, gap, size * high);
    context.fillRect(left, top + i * high - gap / 2, size * cell, gap);
  }
  outlines(context, matrix, place, colors);
}

function outlines(context: CanvasRenderingContext2D, matrix: Matrix, place: Layout, colors: Palette): void {
  for (let row = 0; row < place.size; row += 1) {
    for (let column = 0; column < place.size; column += 1) {
      const entry = cellAt(matrix, row, column);
      if (entry?.improved) {
        frame(context, place, row, column, colors.improved, place.high >= CELL_TEXT ? OUTLINE : 1);
      } else if (entry === null && row !== column) {
        unknown(context, place, row, column, colors);
      }
    }
  }
}

function unknown(context: CanvasRenderingContext2D, place: Layout, row: number, column: number, colors: Palette): void {
  context.setLineDash([2, 3]);
  frame(context, place, row, column, colors.soft, 1);
  context.setLineDash([]);
}

function frame(
  context: CanvasRenderingContext2D, place: Layout, row: number, column: number, color: string, width: number,
  within = 0,
): void {
  const inset = place.gap / 2 + width / 2 + within;
  context.strokeStyle = color;
  context.lineWidth = width;
  const [wide, high] = [place.cell, place.high].map((side) => Math.max(1, side - 2 * inset)) as [number, number];
  context.strokeRect(place.left + column * place.cell + inset, place.top + row * place.high + inset, wide, high);
}

/** Without names at the edges, lines along the row and the column lead the eye to the cell. */
function bands(
  context: CanvasRenderingContext2D, place: Layout, at: { row: number; column: number }, colors: Palette,
): void {
  context.strokeStyle = colors.focus;
  context.lineWidth = 1;
  const [x, y] = [place.left + at.column * place.cell, place.top + at.row * place.high];
  context.strokeRect(place.left + 0.5, y + 0.5, place.size * place.cell - 1, place.high - 1);
  context.strokeRect(x + 0.5, place.top + 0.5, place.cell - 1, place.size * place.high - 1);
}

function figures(
  context: CanvasRenderingContext2D, matrix: Matrix, lens: Lens, place: Layout, colors: Palette,
): void {
  context.font = `${place.high >= 40 ? 13 : 11}px ${FONT}`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  matrix.cells.forEach((entry, index) => {
    const [row, column] = [Math.floor(index / place.size), index % place.size];
    if (row === column) return;
    const value = entry && lens.value(entry);
    const shade = value === null ? 0 : step(lens, value);
    context.fillStyle = entry === null ? colors.soft : shade >= 4 ? colors.textHigh : colors.textLow;
    const text = entry === null ? '?' : value === null ? '' : lens.short(value);
    context.fillText(text, place.left + (column + 0.5) * place.cell, place.top + (row + 0.5) * place.high + 0.5);
  });
}

function labels(
  context: CanvasRenderingContext2D, matrix: Matrix, place: Layout, colors: Palette, own: number | null,
  at: { row: number; column: number } | null,
): void {
  matrix.members.forEach(({ name, node, alive }, index) => {
    const style = (isHere: boolean): void => {
      context.font = `${isHere || node === own ? '650 ' : ''}${Math.min(12, place.high - 1)}px ${FONT}`;
      context.fillStyle = isHere || node === own ? colors.ink : alive ? colors.soft : colors.line;
    };
    context.textBaseline = 'middle';
    style(at?.row === index);
    context.textAlign = 'right';
    context.fillText(clip(context, name, place.left - 10), place.left - 8, place.top + (index + 0.5) * place.high);
    style(at?.column === index);
    context.save();
    context.translate(place.left + (index + 0.5) * place.cell, place.top - 8);
    if (place.isUpright) context.rotate(-Math.PI / 2);
    context.textAlign = place.isUpright ? 'left' : 'center';
    context.fillText(clip(context, name, place.isUpright ? place.top - 10 : place.cell), 0, place.isUpright ? 0 : -3);
    context.restore();
  });
}

function clip(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  let kept = [...text];
  while (kept.length > 1 && context.measureText(`${kept.join('')}\u2026`).width > width) kept = kept.slice(0, -1);
  return `${kept.join('')}\u2026`;
}

/** The three channels of `rgb(r, g, b)`, which is how a browser writes a computed opaque colour. */
function rgb(color: string): number[] {
  return (color.match(/[\d.]+/g) ?? []).slice(0, 3).map(Number);
}
