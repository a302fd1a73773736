// Applies the portal's deltas: JSON Patch (RFC 6902) with add, replace and remove, as crates/portal/src/delta.rs makes.

export type Operation =
  | { op: 'add' | 'replace'; path: string; value: unknown }
  | { op: 'remove'; path: string };

type Container = Record<string, unknown>;

/**
 * The document after the patch. The one given stays as it was, and what did not change is shared with it, so a view
 * can tell by identity what to draw again. Throws if the patch does not fit the document.
 */
export function apply<T>(document: T, operations: Operation[]): T {
  const own = new Set<unknown>();
  const root: Container = { '': document };
  for (const operation of operations) {
    const steps = ['', ...operation.path.split('/').slice(1).map(unescape)];
    const last = steps.pop() as string;
    let parent = root;
    for (const step of steps) {
      const child = parent[step];
      if (typeof child !== 'object' || child === null) throw new Error(`no ${operation.path}`);
      parent = parent[step] = own.has(child) ? child as Container : copy(child, own);
    }
    if (operation.op === 'remove') {
      delete parent[last];
    } else {
      parent[last] = operation.value;
    }
  }
  return root[''] as T;
}

function copy(value: object, own: Set<unknown>): Container {
  const fresh = Array.isArray(value) ? [...value] : { ...value };
  own.add(fresh);
  return fresh as Container;
}

function unescape(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~');
}
