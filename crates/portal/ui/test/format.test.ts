import { describe, expect, it } from 'vitest';
import { bitrate, bytes, clock, coins, coinUnits, duration, ms, netCoins, percent } from '../src/lib/format';

describe('coins', () => {
  it('are exact where a double is not', () => {
    expect(coinUnits('999999999.999999999')).toBe(999999999999999999n);
    expect(coinUnits('1e9')).toBeNull();
    expect(coinUnits('1.0000000001')).toBeNull();
    expect(netCoins('1000000000.1', '0.2')).toBe('+999\u2009999\u2009999.900');
  });
  it('are never rounded up', () => {
    expect(coins('0.999999999')).toBe('0.999');
    expect(coins('12')).toBe('12.000');
    expect(coins(null)).toBe('unknown');
  });
  it('carry their sign when they are a difference', () => {
    expect(netCoins('1', '2.5')).toBe('\u22121.500');
    expect(netCoins('2', '2')).toBe('0.000');
    expect(netCoins('?', '2')).toBe('unknown');
  });
});

describe('figures', () => {
  it('use powers of ten', () => {
    expect(bytes(0)).toEqual({ value: '0', unit: 'B' });
    expect(bytes(999)).toEqual({ value: '999', unit: 'B' });
    expect(bytes(999_999)).toEqual({ value: '1.00', unit: 'MB' });
    expect(bytes(48_203_991_822)).toEqual({ value: '48.2', unit: 'GB' });
    expect(bitrate(125_000)).toEqual({ value: '1.00', unit: 'Mbit/s' });
  });
  it('never show a loss as none', () => {
    expect(percent(0)).toBe('0 %');
    expect(percent(0.0001)).toBe('<0.1 %');
    expect(percent(0.004)).toBe('0.4 %');
    expect(percent(0.05)).toBe('5 %');
  });
  it('read well', () => {
    expect(ms(41_234)).toBe('41.2 ms');
    expect(ms(-410)).toBe('-0.41 ms');
    expect(duration(273_941)).toBe('3 d 4 h');
    expect(duration(3600)).toBe('1 h');
    expect(duration(0)).toBe('0 s');
    expect(clock('2026-03-14T12:03:07.123Z')).toBe('12:03:07');
  });
});
