/**
 * What a set of events comes to, whatever their order: how many they are, and their hashes added up in two independent
 * halves of 32 bits. Sets that differ in one event differ in their sums but for one chance in 2^64; an event that is there
 * twice counts twice, where exclusive or would lose both.
 */
export interface Sum {
  readonly count: number;
  readonly high: number;
  readonly low: number;
}

export const NOTHING: Sum = { count: 0, high: 0, low: 0 };

export function plus(a: Sum, b: Sum): Sum {
  return { count: a.count + b.count, high: (a.high + b.high) | 0, low: (a.low + b.low) | 0 };
}

export function minus(a: Sum, b: Sum): Sum {
  return { count: a.count - b.count, high: (a.high - b.high) | 0, low: (a.low - b.low) | 0 };
}

export function sameSum(a: Sum, b: Sum): boolean {
  return a.count === b.count && a.high === b.high && a.low === b.low;
}

/** As people compare it: 16 hexadecimal digits. */
export function sumText({ high, low }: Sum): string {
  return [high, low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}
