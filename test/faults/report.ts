import type { Progress, Report } from "./run.ts";

/** A report for people. */
export function renderReport(report: Report): string {
  const { faults, verdict, appendMs, errors, troubles } = report;
  const acknowledged = Object.entries(report.acknowledged).map(([node, count]) => `${node} ${number(count)}`);
  const kinds = Object.entries(faults.byKind).map(([kind, count]) => `${kind} ${count}`);
  const { worst } = appendMs;
  const rows: [string, string][] = [
    ["seed", report.seed === null ? "none: a schedule by hand" : String(report.seed)],
    [
      "faults",
      `${faults.done} of ${faults.planned}${report.interrupted ? ", interrupted" : ""}: ${kinds.join(", ")}`,
    ],
    ...faults.skipped.map(({ kind, count, why }): [string, string] => [
      "",
      `${count} ${kind} skipped: ${why}`,
    ]),
    ["acknowledged", `${number(verdict.acknowledged)} events: ${acknowledged.join(", ")}`],
    ["in the log", `${number(verdict.logged)} events; ${number(verdict.read)} messages of all streams read`],
    [
      "appends",
      `p50 ${appendMs.p50} ms, p99 ${appendMs.p99} ms, worst ${worst ? `${worst.ms} ms on ${worst.node} at ${(worst.atMs / 1000).toFixed(1)} s` : "none"}`,
    ],
    ["errors seen", Object.keys(errors).length === 0 ? "none" : ""],
    ...Object.entries(errors).map(([name, { count, first }]): [string, string] => [
      "",
      `${number(count)} ${name}, first: ${first}`,
    ]),
    [
      "converged",
      report.convergedMs === null ? "not in time" : `${report.convergedMs} ms after the last heal`,
    ],
    ["took", `${(report.durationMs / 1000).toFixed(1)} s`],
  ];
  const found = Object.entries(verdict.findings).map(([kind, count]) => `${count} ${kind}`);
  return [
    ...rows.map(([name, text]) => `${name.padEnd(13)} ${text}`),
    ...troubles.map((line) => `trouble       ${line}`),
    ...verdict.examples.map((line) => `found         ${line}`),
    report.ok
      ? "nothing lost, nothing doubled, nothing out of order"
      : `FAULTY: ${[...found, troubles.length > 0 ? `${troubles.length} troubles` : ""].filter(Boolean).join(", ")}`,
    "",
  ].join("\n");
}

/** One line, as ` 61.5 s  52/300 faults  81,204/500,000 events  faults`. */
export function renderProgress(
  { elapsedMs, faults, acknowledged, phase }: Progress,
  planned: { readonly faults: number; readonly events: number },
): string {
  const time = `${(elapsedMs / 1000).toFixed(1)} s`.padStart(8);
  return `${time}  ${faults}/${planned.faults} faults  ${number(acknowledged)}/${number(planned.events)} events  ${phase}`;
}

function number(count: number): string {
  return count.toLocaleString("en-US");
}
