// Figures for people. Coins stay exact: they are decimal strings, never floating point.

const COIN_DECIMALS = 9;
const COIN = 10n ** BigInt(COIN_DECIMALS);

/** `41.2 ms`; below 10 ms two decimals are still telling. */
export function ms(us: number): string {
  const value = us / 1000;
  return `${value.toFixed(Math.abs(value) < 10 ? 2 : 1)} ms`;
}

/** `5 %`, `0.4 %`; a loss that is not zero never reads as zero. */
export function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 0.1) return '<0.1 %';
  return `${value < 10 && value % 1 !== 0 ? value.toFixed(1) : value.toFixed(0)} %`;
}

/** A number with its unit apart, so that a page can set them differently. */
export interface Measure {
  value: string;
  unit: string;
}

/** 1 GB = 10^9 bytes. */
export function bytes(octets: number): Measure {
  return scale(octets, ['B', 'kB', 'MB', 'GB', 'TB', 'PB']);
}

/** Bits per second from octets per second. */
export function bitrate(octetsPerSecond: number): Measure {
  return scale(octetsPerSecond * 8, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s']);
}

function scale(amount: number, units: string[]): Measure {
  let value = amount;
  let step = 0;
  while (value >= 999.5 && step < units.length - 1) {
    value /= 1000;
    step += 1;
  }
  const digits = step === 0 ? 0 : value < 10 ? 2 : value < 100 ? 1 : 0;
  return { value: value.toFixed(digits), unit: units[step] as string };
}

/** Coins as base units; null if the text is no decimal number with at most nine decimals. */
export function coinUnits(text: string): bigint | null {
  const match = /^(-?)(\d+)(?:\.(\d{1,9}))?$/.exec(text);
  if (!match) return null;
  const units = BigInt(match[2] as string) * COIN + BigInt((match[3] ?? '').padEnd(COIN_DECIMALS, '0'));
  return match[1] ? -units : units;
}

/** `183.204`: three decimals, rounded towards zero, as no coin is shown that is not there. */
export function coins(text: string | null): string {
  const units = text === null ? null : coinUnits(text);
  return units === null ? 'unknown' : showUnits(units);
}

/** Earned less applied, with its sign. */
export function netCoins(earned: string, applied: string): string {
  const [plus, minus] = [coinUnits(earned), coinUnits(applied)];
  if (plus === null || minus === null) return 'unknown';
  const net = plus - minus;
  return net > 0n ? `+${showUnits(net)}` : showUnits(net);
}

function showUnits(units: bigint): string {
  const size = units < 0n ? -units : units;
  const whole = (size / COIN).toString().replace(/\B(?=(\d{3})+$)/g, '\u2009');
  const part = (size % COIN).toString().padStart(COIN_DECIMALS, '0').slice(0, 3);
  return `${units < 0n ? '\u2212' : ''}${whole}.${part}`;
}

/** `3 d 4 h`, `2 h 5 min`, `48 s`: the two largest units. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [
    [Math.floor(s / 86400), 'd'],
    [Math.floor(s / 3600) % 24, 'h'],
    [Math.floor(s / 60) % 60, 'min'],
    [s % 60, 's'],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first < 0) return '0 s';
  const shown = parts.slice(first, first + 2).filter(([amount]) => amount > 0);
  return shown.map(([amount, unit]) => `${amount} ${unit}`).join(' ');
}

/** `12:03:07` of an RFC 3339 time, which is in UTC. */
export function clock(time: string): string {
  return /T(\d\d:\d\d:\d\d)/.exec(time)?.[1] ?? time;
}

/** `14 Mar` of an RFC 3339 time. */
export function day(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return '';
  return date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
}
