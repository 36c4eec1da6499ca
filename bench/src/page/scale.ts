// Axes: where a value lies, and which values are written beside an axis.

export interface Scale {
  /** From 0 to 1 along the axis. */
  at(value: number): number;
  ticks: readonly number[];
  least: number;
}

/** From zero on. */
export function linearScale(values: readonly number[], ticks?: readonly number[]): Scale {
  const greatest = Math.max(...values) || 1;
  const step = roundStep(greatest / 5);
  const end = ticks === undefined ? step * Math.ceil(greatest / step) : greatest;
  return {
    at: (value) => value / end,
    ticks: ticks ?? Array.from({ length: Math.round(end / step) + 1 }, (_, index) => index * step),
    least: 0,
  };
}

/** Whole decades; with own ticks it ends where they do. Zero has its place one decade before the least other value. */
export function logScale(values: readonly number[], ticks?: readonly number[]): Scale {
  const positive = values.filter((value) => value > 0);
  const [low, high] = [Math.log10(Math.min(...positive)), Math.log10(Math.max(...positive))];
  const first = ticks === undefined ? Math.floor(low) : positive.length < values.length ? low - 1 : low;
  const last = Math.max(ticks === undefined ? Math.ceil(high) : high, first + 1);
  const decades = Array.from({ length: Math.round(last - first) + 1 }, (_, index) => 10 ** (first + index));
  return {
    at: (value) => (value > 0 ? (Math.log10(value) - first) / (last - first) : 0),
    ticks: ticks ?? decades,
    least: 10 ** first,
  };
}

/** The next of 1, 2 and 5 times a power of ten. */
function roundStep(atLeast: number): number {
  const power = 10 ** Math.floor(Math.log10(atLeast));
  return ([1, 2, 5].find((factor) => factor * power >= atLeast) ?? 10) * power;
}

export function compact(value: number): string {
  const [divisor, suffix] = value >= 1e6 ? [1e6, 'M'] : value >= 1e3 ? [1e3, 'k'] : [1, ''];
  // Without the digits that sums of floats leave behind.
  return `${Number((value / divisor).toPrecision(6))}${suffix}`;
}
