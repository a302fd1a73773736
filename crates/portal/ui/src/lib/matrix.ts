// What the matrix says, without how it is drawn.

import type { Cell, Matrix, Member } from './api';
import { ms, percent } from './format';

export type Mode = 'delay' | 'loss' | 'jitter' | 'gain';

/** One way to look at the matrix: a figure per cell, and the bounds between the steps of its colour scale. */
export interface Lens {
  mode: Mode;
  title: string;
  unit: string;
  /** Upper bounds of all steps but the last, ascending; in the unit of `value`. */
  bounds: number[];
  /** What to read from a cell; null = nothing to show. */
  value: (cell: Cell) => number | null;
  /** Short text inside a cell. */
  short: (value: number) => string;
  /** A bound in the legend. */
  bound: (value: number) => string;
}

const shortMs = (us: number): string => (Math.abs(us) < 9950 ? (us / 1000).toFixed(1) : (us / 1000).toFixed(0));
const boundMs = (us: number): string => `${us / 1000}`;

export const LENSES: Lens[] = [
  {
    mode: 'delay', title: 'Delay', unit: 'ms', bounds: [10_000, 25_000, 50_000, 100_000, 200_000],
    value: (cell) => cell.owd_us, short: shortMs, bound: boundMs,
  },
  {
    mode: 'loss', title: 'Loss', unit: '%', bounds: [0.001, 0.01, 0.03, 0.1, 0.3],
    value: (cell) => cell.loss, short: (v) => percent(v).replace(' %', ''), bound: (v) => `${v * 100}`,
  },
  {
    mode: 'jitter', title: 'Jitter', unit: 'ms', bounds: [500, 1_000, 2_000, 5_000, 20_000],
    value: (cell) => cell.jitter_us, short: shortMs, bound: boundMs,
  },
  {
    mode: 'gain', title: 'Gain by a relay', unit: 'ms', bounds: [1_000, 5_000, 10_000, 25_000, 50_000],
    value: (cell) => cell.gain_us, short: shortMs, bound: boundMs,
  },
];

/** The step of the colour scale, 0 .. bounds.length. */
export function step(lens: Lens, value: number): number {
  const index = lens.bounds.findIndex((bound) => value < bound);
  return index < 0 ? lens.bounds.length : index;
}

export function cellAt(matrix: Matrix, row: number, column: number): Cell | null {
  return matrix.cells[row * matrix.members.length + column] ?? null;
}

export interface Summary {
  pairs: number;
  known: number;
  improved: number;
}

export function summary(matrix: Matrix): Summary {
  const n = matrix.members.length;
  const known = matrix.cells.filter((cell) => cell !== null);
  return { pairs: n * (n - 1), known: known.length, improved: known.filter((cell) => cell.improved).length };
}

/** Delay of each hop of a path from `own` over `relays` to `target`; null if one of them is unknown. */
export function hops(matrix: Matrix, own: number, relays: number[], target: number): number[] | null {
  const places = [own, ...relays, target].map((node) => matrix.members.findIndex((m) => m.node === node));
  const delays: number[] = [];
  for (let i = 0; i + 1 < places.length; i += 1) {
    const [from, to] = [places[i] as number, places[i + 1] as number];
    const cell = from < 0 || to < 0 ? null : cellAt(matrix, from, to);
    if (cell === null) return null;
    delays.push(cell.owd_us);
  }
  return delays;
}

/** What one directed pair says, in parts that a page sets apart. */
export interface Reading {
  from: Member;
  to: Member;
  figures: string[];
  better: string | null;
  back: string | null;
}

export function read(matrix: Matrix, row: number, column: number, clockMs: number): Reading | null {
  const [from, to] = [matrix.members[row], matrix.members[column]];
  if (!from || !to) return null;
  const [cell, back] = [cellAt(matrix, row, column), cellAt(matrix, column, row)];
  return {
    from,
    to,
    figures: cell ? figures(cell, clockMs) : [row === column ? 'the router itself' : 'not measured'],
    better: cell ? better(matrix, cell) : null,
    back: back ? `${ms(back.owd_us)} back` : null,
  };
}

function figures(cell: Cell, clockMs: number): string[] {
  const age = Math.max(0, Math.round((clockMs - cell.seen_ms) / 1000));
  return [
    `${ms(cell.owd_us)} \u00b1${(cell.owd_error_us / 1000).toFixed(1)}`,
    `jitter ${ms(cell.jitter_us)}`,
    `loss ${percent(cell.loss)}`,
    `measured ${age} s ago`,
  ];
}

function better(matrix: Matrix, cell: Cell): string | null {
  if (cell.gain_us === null || cell.gain_relays.length === 0) return null;
  const name = (node: number): string => matrix.members.find((m) => m.node === node)?.name ?? `n${node}`;
  const share = cell.owd_us > 0 ? `, ${percent(cell.gain_us / cell.owd_us)}` : '';
  return `${cell.improved ? 'Better' : 'A little better'} via ${cell.gain_relays.map(name).join(', ')}: `
    + `saves ${ms(cell.gain_us)}${share}`;
}
