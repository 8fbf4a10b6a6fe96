const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  µs: 1e-3,
  us: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** Reads a duration as Go prints it (`145µs`, `1m2.5s`), in milliseconds; undefined when it is none. */
export function parseGoDurationMs(text: string): number | undefined {
  if (text === "0" || text === "0s") return 0;
  if (!/^(\d+(\.\d+)?(ns|µs|us|ms|s|m|h))+$/.test(text)) return undefined;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|µs|us|ms|s|m|h)/g)) {
    ms += Number(amount) * (UNIT_MS[unit ?? ""] ?? 0);
  }
  return ms;
}
