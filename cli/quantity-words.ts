/** Counts as `12,345`, everywhere the same. */
export function countWords(count: number): string {
  return count.toLocaleString("en-US");
}

/** `1 event`, `2 events`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${countWords(count)} ${count === 1 ? one : many}`;
}

const UNITS = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
] as const;

/** A duration with the precision that people need: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`. */
export function durationWords(seconds: number): string {
  for (const [size, unit] of UNITS) if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  return `${seconds < 10 ? Number(seconds.toFixed(1)) : Math.round(seconds)} s`;
}

/** How long ago: `now` within two seconds. */
export function agoWords(seconds: number): string {
  return seconds < 2 ? "now" : `${durationWords(seconds)} ago`;
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function byteWords(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${BYTE_UNITS[unit]}`;
}
