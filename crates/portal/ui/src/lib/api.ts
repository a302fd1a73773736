// The shapes of /api/v1/overview. Source: crates/api/src/router.rs and crates/portal/src/overview.rs, which document
// every field; units stand in the names, coins are decimal strings.

export type State = 'ok' | 'degraded' | 'down' | 'nodata';

export interface Overview {
  schema: string;
  clock_ms: number;
  error: Problem | null;
  read_ms: number | null;
  status: Status | null;
  matrix: Matrix | null;
  paths: Paths | null;
  wallet: Wallet | null;
  events: RouterEvent[];
}

export interface Problem {
  code: string;
  what: string;
  why?: string;
  fix?: string;
}

export interface Status {
  time: string;
  name: string;
  node: number | null;
  group: number | null;
  state: State;
  sentence: string;
  uptime_s: number;
  version: string;
  members: number;
  peers_up: number;
  matrix_complete: boolean;
  matrix_known: number;
  matrix_cells: number;
  engaged: Engaged[];
  relayed_bytes: number;
  sent_bytes: number;
  delivered_bytes: number;
  earned_coins: string;
  applied_coins: string;
  controller: Reachability;
  ledger: Reachability;
  health: HealthItem[];
  drops: { reason: string; packets: number }[];
  reporter: boolean;
}

export interface Engaged {
  endpoint: string;
  endpoint_node: number;
  prefixes: string[];
  relays: string[];
  since: string;
  reason: string;
  gain_us: number | null;
}

export interface Reachability {
  state: State;
  last_ok: string | null;
  error: string | null;
}

export interface HealthItem {
  code: string;
  state: State;
  what: string;
  why: string;
  fix: string;
}

export interface Matrix {
  members: Member[];
  /** n * n, row = sender, column = receiver; null = unknown, and on the diagonal. */
  cells: (Cell | null)[];
}

export interface Member {
  node: number;
  name: string;
  city: string;
  country: string;
  asn: number;
  alive: boolean;
  price_coins_per_gb: string;
}

export interface Cell {
  owd_us: number;
  owd_error_us: number;
  jitter_us: number;
  loss: number;
  gain_us: number | null;
  gain_relays: number[];
  improved: boolean;
  seen_ms: number;
}

export interface Paths {
  endpoints: Endpoint[];
}

export interface Endpoint {
  endpoint: string;
  node: number;
  prefixes: string[];
  mode: string;
  pinned: string[] | null;
  classes: ClassPath[];
  candidates: Candidate[];
}

export interface ClassPath {
  name: string;
  prefer: string;
  dscp: number[];
  relays: string[] | null;
}

export interface Candidate {
  relays: string[];
  relay_nodes: number[];
  state: string;
  expected_us: number | null;
  measured_us: number | null;
  owd_error_us: number | null;
  residual_us: number | null;
  loss: number | null;
  jitter_us: number | null;
  throughput_bps: number | null;
  price_coins_per_gb: string;
  lane: string;
  rule: string;
  age_ms: number | null;
}

export interface Wallet {
  account: string;
  balance_coins: string | null;
  escrow_coins: string | null;
  lanes_coins: string | null;
  earned_coins: string;
  applied_coins: string;
  height: number | null;
  lanes: unknown[];
}

export interface RouterEvent {
  seq: number;
  time: string;
  uptime_ms: number;
  kind: string;
  text: string;
  endpoint: string | null;
  relays: string[] | null;
}
