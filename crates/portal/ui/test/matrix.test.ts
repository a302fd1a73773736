import { expect, it } from 'vitest';
import recorded from '../../tests/fixture/matrix.json';
import type { Matrix } from '../src/lib/api';
import { hops, LENSES, read, step, summary, type Lens } from '../src/lib/matrix';

// The recording of the admin API, with ages turned into moments as the portal does.
const matrix: Matrix = {
  members: recorded.members,
  cells: recorded.cells.map((cell) => cell && { ...cell, seen_ms: -cell.age_ms }),
};

it('counts pairs, not the diagonal', () => {
  expect(summary(matrix)).toEqual({ pairs: 42, known: 39, improved: 5 });
});

it('reads a pair in its direction', () => {
  const reading = read(matrix, 0, 3, 0);
  expect(reading?.figures[0]).toBe('131.2 ms \u00b10.5');
  expect(reading?.better).toBe('Better via fra: saves 44.8 ms, 34 %');
  expect(reading?.back).toBe('88.4 ms back');
});

it('says unknown where nothing is known', () => {
  expect(read(matrix, 4, 6, 0)?.figures).toEqual(['not measured']);
  expect(hops(matrix, 5, [], 7)).toBeNull();
});

it('splits a path into its hops', () => {
  expect(hops(matrix, 1, [2], 4)).toEqual([7100, 79300]);
});

it('puts a value into the step whose upper bound it stays below', () => {
  const delay = LENSES[0] as Lens;
  expect([0, 9_999, 10_000, 199_999, 200_000].map((us) => step(delay, us))).toEqual([0, 0, 1, 4, 5]);
});
