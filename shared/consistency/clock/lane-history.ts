import * as z from "zod";
import { OWN_LANE } from "./clock-header.ts";
import { commitLane, outboxLane, raise, type VersionVector } from "./version-vector.ts";

const history = z.object({
  /** Of an incarnation's lane: the lane before it, and the last sequence that both share. */
  begins: z.record(z.string(), z.tuple([z.string(), z.number().int().min(0)])),
  /** A node, the log's index of the record that it is gone, and of the one with which it began anew; null: it has not. */
  retired: z.array(z.tuple([z.string(), z.number().int(), z.number().int().nullable()])),
});
type History = z.infer<typeof history>;

/** What a lane control record of the log says (`laneRecord`), as far as it matters here. */
export interface LaneStart {
  readonly node: string;
  readonly incarnation: number;
  /** 0: the node was not known before. */
  readonly predecessor: number;
  /** Last event that both incarnations share. */
  readonly common: { readonly seq: number };
}

/** A node was gone for good, between two records of the log. */
interface Absence {
  readonly node: string;
  readonly from: number;
  to: number | null;
}

/** Who was gone from one index on and before another. */
interface Retired {
  readonly nodes: ReadonlySet<string>;
  readonly from: number;
  readonly to: number;
}

const NOBODY: Retired = { nodes: new Set(), from: 0, to: 0 };

/** Whose event a vector was read from. */
export interface LaneOwner {
  readonly node: string;
  readonly incarnation: number;
  /** `e`: of the outbox; `c`: a strong commit. */
  readonly lane: string;
}

export const laneOf = ({ node, incarnation, lane }: LaneOwner): string =>
  lane === "e" ? outboxLane(node, incarnation) : commitLane(node);

/**
 * Where the lanes of the log come from. An outbox that was rolled back or restored goes on as a new incarnation, which
 * shares the events up to some sequence with the one before: who has seen the new one's has seen those too.
 */
export class LaneHistory {
  readonly #begins: Map<string, { readonly before: string; readonly common: number }>;
  readonly #absences: Absence[];
  /** Indexes at which lanes of a node begin: a retirement from before may be learnt of later. */
  readonly #starts = new Map<string, number[]>();
  #known: Retired = NOBODY;

  constructor({ begins, retired }: History = { begins: {}, retired: [] }) {
    this.#begins = new Map(
      Object.entries(begins).map(([lane, [before, common]]) => [lane, { before, common }]),
    );
    this.#absences = retired.map(([node, from, to]) => ({ node, from, to }));
  }

  /** Takes a lane control record in, in any order; the same one again changes nothing. @param index of the log, the record's */
  add({ node, incarnation, predecessor, common }: LaneStart, index: number): void {
    const starts = this.#starts.get(node) ?? [];
    if (!starts.includes(index)) this.#starts.set(node, [...starts, index]);
    for (const absence of this.#absences) {
      if (absence.node === node && absence.from < index) absence.to = Math.min(absence.to ?? index, index);
    }
    this.#known = NOBODY;
    if (predecessor < 1) return;
    const before = outboxLane(node, predecessor);
    this.#begins.set(outboxLane(node, incarnation), { before, common: common.seq });
  }

  /** From that index of the log on nothing more comes of a node, until a lane of it begins anew. In any order, too. */
  retire(node: string, index: number): void {
    if (this.#absences.some((absence) => absence.node === node && absence.from === index)) return;
    const later = (this.#starts.get(node) ?? []).filter((start) => start > index);
    this.#absences.push({ node, from: index, to: later.length === 0 ? null : Math.min(...later) });
    this.#known = NOBODY;
  }

  /**
   * The nodes that were gone for good at an index of the log. By the index and not by what was read last: a copy that is
   * filled with a domain gets old events behind younger records.
   */
  retiredAt(index: number): ReadonlySet<string> {
    const known = this.#known;
    if (index >= known.from && index < known.to) return known.nodes;
    const nodes = new Set<string>();
    let from = 0;
    let to = Number.POSITIVE_INFINITY;
    for (const { node, from: gone, to: back } of this.#absences) {
      if (gone < index && (back === null || index < back)) nodes.add(node);
      // The set is the same between the records around that index.
      for (const edge of back === null ? [gone] : [gone, back]) {
        if (edge < index) from = Math.max(from, edge + 1);
        else to = Math.min(to, edge);
      }
    }
    this.#known = { nodes, from, to };
    return nodes;
  }

  /** What had been seen, over all incarnations. `.` is the lane of the event itself. */
  normalise(seen: VersionVector, owner: LaneOwner): VersionVector {
    if (this.#begins.size === 0 && !seen.has(OWN_LANE)) return seen;
    const all = new Map<string, number>();
    for (const [written, seq] of seen) {
      let lane = written === OWN_LANE ? laneOf(owner) : written;
      let upTo = seq;
      // Records that lead in a ring would be another's work, and must not be followed for ever.
      for (let steps = 0; upTo > 0 && steps <= this.#begins.size; steps++) {
        raise(all, lane, upTo);
        const begin = this.#begins.get(lane);
        if (!begin) break;
        lane = begin.before;
        upTo = Math.min(upTo, begin.common);
      }
    }
    return all;
  }

  /** As JSON, for a checkpoint. */
  encode(): History {
    const begins = [...this.#begins].map(([lane, { before, common }]) => [lane, [before, common]]);
    const retired = this.#absences.map(({ node, from, to }): History["retired"][number] => [node, from, to]);
    return { begins: Object.fromEntries(begins), retired };
  }

  /** What either knows. @throws ZodError when one of them is none */
  static merge(own: unknown, other: unknown): LaneHistory {
    const mine = history.parse(own);
    const theirs = history.parse(other);
    const merged = new LaneHistory({ begins: { ...theirs.begins, ...mine.begins }, retired: theirs.retired });
    for (const [node, from, to] of mine.retired) {
      const known = merged.#absences.find((absence) => absence.node === node && absence.from === from);
      if (known) known.to ??= to;
      else merged.#absences.push({ node, from, to });
    }
    return merged;
  }

  /** @throws ZodError when it is none */
  static decode(json: unknown): LaneHistory {
    return new LaneHistory(history.parse(json));
  }
}
