// The pages. A page gets what is live and draws it; the server answers each of these paths with the same document.

import type { Component } from 'svelte';
import type { Live } from '../lib/live.svelte';
import type { Theme } from '../lib/theme.svelte';
import Overview from './Overview.svelte';

export interface Route {
  path: string;
  title: string;
  page: Component<{ live: Live; theme: Theme }>;
}

export const ROUTES: [Route, ...Route[]] = [{ path: '/', title: 'Overview', page: Overview }];
