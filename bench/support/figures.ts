import { availableParallelism, loadavg } from "node:os";

const loadBefore = loadavg()[0] ?? 0;

/** Percentiles of a sample, in its unit. */
export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Nearest rank; NaN for an empty sample. */
export function spreadOf(sample: readonly number[]): Spread {
  const sorted = Float64Array.from(sample).sort();
  const at = (fraction: number) =>
    sorted.length === 0
      ? Number.NaN
      : (sorted[Math.max(0, Math.ceil(sorted.length * fraction) - 1)] as number);
  return { count: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

export function median(sample: readonly number[]): number {
  return spreadOf(sample).p50;
}

/** One line of a bench's result: what was measured, the goal, and the bare engine's figure of the same run. */
export interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly cim: number;
  /** Absent where the bare engine has no such thing. */
  readonly bare?: number;
  /** As the bench knows it; says only whether the goal is met, never whether a test passes. */
  readonly goal?: { readonly most: number } | { readonly least: number };
}

/** Writes what is under way to stderr, so that stdout holds the result alone. */
export function progress(text: string): void {
  process.stderr.write(`  ${text}\n`);
}

/** Prints figures as an aligned table, or with `json` as one document together with `details`. */
export function report(
  bench: string,
  figures: readonly Figure[],
  options: { readonly json: boolean; readonly details?: object },
): void {
  const machine = { cores: availableParallelism(), loadBefore, loadAfter: loadavg()[0] ?? 0 };
  if (options.json) {
    const document = { bench, machine, figures, details: options.details ?? {} };
    process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    return;
  }
  const rows = figures.map(({ what, unit, cim, bare, goal }) => [
    what,
    `${show(cim)} ${unit}`,
    goal === undefined ? "" : "most" in goal ? `<= ${show(goal.most)}` : `>= ${show(goal.least)}`,
    goal === undefined ? "" : ("most" in goal ? cim <= goal.most : cim >= goal.least) ? "met" : "MISSED",
    bare === undefined ? "" : `${show(bare)} ${unit}`,
    bare === undefined || bare === 0 ? "" : `x${show(cim / bare)}`,
  ]);
  const table = [["", "cim", "goal", "", "bare", "cim/bare"], ...rows];
  const widths =
    table[0]?.map((_, column) => Math.max(...table.map((row) => (row[column] ?? "").length))) ?? [];
  const { cores, loadAfter } = machine;
  const load = `${cores} cores, load ${loadBefore.toFixed(1)} before and ${loadAfter.toFixed(1)} after`;
  process.stdout.write(`${bench} (${load})\n`);
  for (const row of table)
    process.stdout.write(
      `  ${row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join("  ")
        .trimEnd()}\n`,
    );
}

function show(value: number): string {
  if (!Number.isFinite(value)) return "none";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en-US");
  return `${Number(value.toPrecision(3))}`;
}
