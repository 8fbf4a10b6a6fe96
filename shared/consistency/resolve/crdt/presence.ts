import { decodeVector, encodeVector } from "../../clock/version-vector.ts";
import { type FoldEvent, saw } from "../fold-event.ts";

/**
 * Which events have put something here that no delete has seen: of each lane the newest. As an event's writer has seen all of
 * a lane up to some sequence, who has seen the newest has seen the others.
 */
export class Presence {
  readonly #dots: Map<string, number>;

  constructor(json: unknown = {}) {
    this.#dots = decodeVector(json);
  }

  get isGone(): boolean {
    return this.#dots.size === 0;
  }

  put(event: FoldEvent): void {
    if (this.#dots.size > 0) this.takeSeen(event);
    this.#dots.set(event.dot.lane, event.dot.seq);
  }

  takeSeen(event: FoldEvent): void {
    for (const [lane, seq] of this.#dots) if (saw(event, { lane, seq })) this.#dots.delete(lane);
  }

  addLanes(lanes: Set<string>): void {
    for (const lane of this.#dots.keys()) lanes.add(lane);
  }

  encode(): unknown {
    return encodeVector(this.#dots);
  }
}
