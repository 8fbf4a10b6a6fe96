import * as z from "zod";

/** What can be done to a fleet. A link's kinds are a leaf's; the others are any node's. */
export const faultKinds = [
  "cut",
  "blackhole",
  "stall",
  "delay",
  "rate",
  "kill",
  "pause",
  "restart",
  "disk-full",
  "reader",
] as const;
export type FaultKind = (typeof faultKinds)[number];

export const linkKinds: ReadonlySet<FaultKind> = new Set(["cut", "blackhole", "stall", "delay", "rate"]);
export const processKinds: ReadonlySet<FaultKind> = new Set(["kill", "pause", "restart"]);

const nodePart = z.enum(["nats", "daemon", "both"]);
/** Which of a node's two processes. */
export type NodePart = z.infer<typeof nodePart>;

const fault = z.strictObject({
  /** Counts from 1 in the order of their beginnings. */
  n: z.int().positive(),
  /** From the start of the run. */
  atMs: z.number().nonnegative(),
  /** How long it lasts; of `kill` and `restart`: how long the process stays away. */
  forMs: z.number().nonnegative(),
  kind: z.enum(faultKinds),
  node: z.string(),
  /** Of `kill`, `pause` and `restart`. */
  part: nodePart.optional(),
  /** Of a link's kinds, in the words of `cim lab link`: `down`, `blackhole`, `stall=10%`, `delay=200ms`, `rate=64kbit`. */
  condition: z.string().optional(),
});

/** One fault: begins at `atMs`, is mended after `forMs`. */
export type Fault = Readonly<z.infer<typeof fault>>;

export const scheduleDocument = z.strictObject({
  version: z.literal(1),
  /** What it was made from; null: by hand. */
  seed: z.int().nullable(),
  nodes: z.array(z.strictObject({ name: z.string(), role: z.enum(["hub", "leaf"]) })).min(1),
  faults: z.array(fault),
});

/** A schedule as it is saved and replayed. */
export type Schedule = z.infer<typeof scheduleDocument>;

/** `12  14.310 s  leaf2  kill both for 0.40 s` */
export function describeFault({ n, atMs, forMs, kind, node, part, condition }: Fault): string {
  const what = condition ?? (part ? `${kind} ${part}` : kind);
  return `${String(n).padStart(4)}  ${seconds(atMs, 3).padStart(9)}  ${node}  ${what} for ${seconds(forMs, 2)}`;
}

function seconds(ms: number, digits: number): string {
  return `${(ms / 1000).toFixed(digits)} s`;
}
