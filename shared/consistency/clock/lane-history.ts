import * as z from "zod";
import { OWN_LANE } from "./clock-header.ts";
import { commitLane, outboxLane, raise, type VersionVector } from "./version-vector.ts";

const history = z.object({
  /** Of an incarnation's lane: the lane before it, and the last sequence that both share. */
  begins: z.record(z.string(), z.tuple([z.string(), z.number().int().min(0)])),
  retired: z.array(z.string()),
});

/** What a lane control record of the log says (`laneRecord`), as far as it matters here. */
export interface LaneStart {
  readonly node: string;
  readonly incarnation: number;
  /** 0: the node was not known before. */
  readonly predecessor: number;
  /** Last event that both incarnations share. */
  readonly common: { readonly seq: number };
}

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
  #retired: ReadonlySet<string>;

  constructor({ begins, retired }: z.infer<typeof history> = { begins: {}, retired: [] }) {
    this.#begins = new Map(
      Object.entries(begins).map(([lane, [before, common]]) => [lane, { before, common }]),
    );
    this.#retired = new Set(retired);
  }

  /** Takes a lane control record in, in the log's order; the same one again changes nothing. */
  add({ node, incarnation, predecessor, common }: LaneStart): void {
    if (this.#retired.has(node)) this.#retired = new Set([...this.#retired].filter((gone) => gone !== node));
    if (predecessor < 1) return;
    const before = outboxLane(node, predecessor);
    this.#begins.set(outboxLane(node, incarnation), { before, common: common.seq });
  }

  /** From here in the log on nothing more comes of a node, until a lane of it begins anew. */
  retire(node: string): void {
    this.#retired = new Set([...this.#retired, node]);
  }

  /** The set as it is now; later changes make another one. */
  get retired(): ReadonlySet<string> {
    return this.#retired;
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
  encode(): z.infer<typeof history> {
    const begins = [...this.#begins].map(([lane, { before, common }]) => [lane, [before, common]]);
    return { begins: Object.fromEntries(begins), retired: [...this.#retired] };
  }

  /** @throws ZodError when it is none */
  static decode(json: unknown): LaneHistory {
    return new LaneHistory(history.parse(json));
  }
}
