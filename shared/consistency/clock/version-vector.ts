/**
 * Which one event of which lane. Lanes are `<node>/<incarnation>` for the events of an outbox and `<node>/c` for strong
 * commits; the sequence is the one that JetStream or the sequencer gave, so two programs of a node can't both have it.
 */
export interface Dot {
  readonly lane: string;
  readonly seq: number;
}

/** Of each lane the sequence up to which everything (of one aggregate) had been seen. */
export type VersionVector = ReadonlyMap<string, number>;

export const NOTHING_SEEN: VersionVector = new Map();

export const outboxLane = (node: string, incarnation: number): string => `${node}/${incarnation}`;
export const commitLane = (node: string): string => `${node}/c`;

/** The node whose lane it is. */
export function nodeOfLane(lane: string): string {
  const slash = lane.indexOf("/");
  return slash < 0 ? lane : lane.slice(0, slash);
}

export function covers(seen: VersionVector, dot: Dot): boolean {
  return (seen.get(dot.lane) ?? 0) >= dot.seq;
}

/** Makes a vector cover a dot. */
export function raise(vector: Map<string, number>, lane: string, seq: number): void {
  if (seq > (vector.get(lane) ?? 0)) vector.set(lane, seq);
}

/** As JSON: the same vector is the same text, in whatever order it came about. */
export function encodeVector(vector: VersionVector): Record<string, number> {
  return Object.fromEntries([...vector].filter(([, seq]) => seq > 0).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** @throws TypeError when it is no encoded vector */
export function decodeVector(json: unknown): Map<string, number> {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new TypeError("no version vector: not an object");
  const entries = Object.entries(json);
  for (const [lane, seq] of entries)
    if (!Number.isSafeInteger(seq) || seq < 0)
      throw new TypeError(`no version vector: ${lane} has no sequence`);
  return new Map(entries as [string, number][]);
}
