// The page's one connection: a socket with a snapshot and deltas, polling where there is no socket.

import type { Overview } from './api';
import { apply, type Operation } from './patch';

export type Link = 'connecting' | 'live' | 'polling' | 'lost' | 'ended';

type Message =
  | { kind: 'snapshot'; seq: number; data: Overview }
  | { kind: 'delta'; seq: number; ops: Operation[] };

/** Milliseconds between polls, and before the socket is tried again. */
const POLL_MS = 3_000;
const RETRY_MS = [500, 1_000, 2_000, 5_000];
/** Samples kept for the small graphs: two minutes. */
const SAMPLES_MAX = 120;

export interface Sample {
  at_ms: number;
  relayed: number;
  sent: number;
  delivered: number;
}

export class Live {
  overview = $state.raw<Overview | null>(null);
  link = $state<Link>('connecting');
  samples = $state.raw<Sample[]>([]);
  #seq = 0;
  #failures = 0;
  #polls = 0;

  start(): void {
    this.#open();
    setInterval(() => {
      if (this.link !== 'live' && this.link !== 'ended') void this.#poll();
    }, POLL_MS);
  }

  async logout(): Promise<void> {
    const session = await fetch('/api/v1/session');
    if (session.ok) {
      const { csrf } = (await session.json()) as { csrf: string };
      await fetch('/logout', { method: 'POST', headers: { 'x-srwan-csrf': csrf } });
    }
    location.assign('/login');
  }

  #open(): void {
    const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
    socket.onmessage = ({ data }) => {
      if (!this.#take(JSON.parse(data as string) as Message)) {
        socket.send('resync');
        return;
      }
      this.#failures = 0;
      this.link = 'live';
    };
    socket.onclose = () => {
      if (this.link === 'ended') return;
      if (this.link === 'live') this.link = 'connecting';
      const wait = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)] as number;
      this.#failures += 1;
      setTimeout(() => {
        if (this.link !== 'ended') this.#open();
      }, wait);
      void this.#poll();
    };
  }

  /** Polling finds what a socket cannot say: that the session has ended. */
  async #poll(): Promise<void> {
    const poll = (this.#polls += 1);
    try {
      const answer = await fetch('/api/v1/overview');
      if (answer.status === 401) {
        this.link = 'ended';
      } else if (answer.ok && this.link !== 'live' && poll === this.#polls) {
        this.#take((await answer.json()) as Message);
        this.link = 'polling';
      }
    } catch {
      if (this.link !== 'live') this.link = 'lost';
    }
  }

  /** False if a number is missing; a snapshot heals that. */
  #take(message: Message): boolean {
    if (message.kind === 'delta') {
      if (this.overview === null || message.seq !== this.#seq + 1) return false;
      this.overview = apply(this.overview, message.ops);
    } else {
      this.overview = message.data;
    }
    this.#seq = message.seq;
    this.#sample(this.overview);
    return true;
  }

  #sample({ status, clock_ms, error }: Overview): void {
    const last = this.samples.at(-1);
    if (!status || error || last?.at_ms === clock_ms) return;
    const sample = {
      at_ms: clock_ms,
      relayed: status.relayed_bytes,
      sent: status.sent_bytes,
      delivered: status.delivered_bytes,
    };
    // A router that restarted counts from zero: its rates begin anew.
    const isFresh = last && (sample.at_ms < last.at_ms || sample.relayed < last.relayed || sample.sent < last.sent);
    this.samples = isFresh ? [sample] : [...this.samples, sample].slice(-SAMPLES_MAX);
  }
}
