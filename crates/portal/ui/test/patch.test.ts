import { expect, it } from 'vitest';
import { apply } from '../src/lib/patch';

const before = { status: { uptime: 1 }, cells: [{ a: 1 }, { a: 2 }], gone: true };

it('changes what the patch names and shares the rest', () => {
  const after = apply(before, [
    { op: 'replace', path: '/status/uptime', value: 2 },
    { op: 'replace', path: '/cells/1/a', value: 3 },
    { op: 'remove', path: '/gone' },
    { op: 'add', path: '/x~1~0', value: [] },
  ]);
  expect(after).toEqual({ status: { uptime: 2 }, cells: [{ a: 1 }, { a: 3 }], 'x/~': [] });
  expect(after.cells[0]).toBe(before.cells[0]);
  expect(before).toEqual({ status: { uptime: 1 }, cells: [{ a: 1 }, { a: 2 }], gone: true });
});

it('replaces the whole document', () => {
  expect(apply<unknown>(before, [{ op: 'replace', path: '', value: 7 }])).toBe(7);
});

it('refuses a patch that does not fit', () => {
  expect(() => apply(before, [{ op: 'replace', path: '/none/x', value: 1 }])).toThrow();
});
