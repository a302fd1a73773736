// The class names of scoped styles come from the file's path below ui/, so a build does not depend on where it runs.
import { relative } from 'node:path';

/** @type {import('@sveltejs/vite-plugin-svelte').SvelteConfig} */
export default {
  compilerOptions: {
    cssHash: ({ hash, filename }) => `s-${hash(relative(import.meta.dirname, filename).replaceAll('\\', '/'))}`,
  },
};
