import type { IngestReply, IngestRequest } from "../../shared/protocol/messages.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimStream } from "./sim-stream.ts";

/** How unkind the world is at the moment: probabilities. All nothing: everything works. */
export interface Weather {
  /** A request or reply between nodes is lost, or comes twice. */
  lossy: number;
  doubled: number;
  /** A write's outcome stays unknown: not stored, stored, stored later, or a prefix of it stored. */
  unknownWrites: number;
  /** A read of a stream fails. */
  failedReads: number;
  /** Longest delay of one step of anything, ms. */
  slowestMs: number;
}

export const CALM: Weather = { lossy: 0, doubled: 0, unknownWrites: 0, failedReads: 0, slowestMs: 3 };

/** What all parts of a run share. */
export interface Environment {
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly weather: Weather;
  /** The hub's log. */
  readonly log: SimStream;
  /** Of aggregates of strong domains whose newest event was purged: at which version they were. */
  readonly purgedVersions: Map<string, number>;
  /** Grows when the hub's server restarts: what was on its way to it then is gone. */
  hubServerRun: number;
  /** Told with every step, for a run that is looked into. */
  trace(text: () => string): void;
}

/** A request as it travels: JSON that was sent is JSON that was read. */
export type Payload = { readonly request: IngestRequest } | { readonly block: Uint8Array };
export type Respond = (reply: IngestReply) => void;

export function delayMs({ random, weather }: Environment): number {
  return random.between(1, Math.max(1, weather.slowestMs));
}
