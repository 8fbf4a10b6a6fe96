import { type CopyRecord, copyRecord, readRecord } from "../../protocol/control-records.ts";
import type { StoredMessage } from "../../protocol/event.ts";
import { headerValue } from "../../protocol/headers.ts";
import { HEADER } from "../../protocol/names.ts";
import { type LogPosition, parseLogPosition } from "../../protocol/reign.ts";
import { controlRecordSubject, domainOf } from "../../protocol/subjects.ts";
import {
  cutBehind,
  evenFrontier,
  keptSince,
  type ReadSoFar,
  readFrom,
  withEvent,
  withRecord,
} from "./frontier.ts";

/** Where a reader stands in the log. Never changed, only replaced. */
export interface LogStanding {
  /** `Cim-Log` of the furthest that was read of the log; undefined: nothing. */
  readonly log: string | undefined;
  /** The last message read in which node's stream: found again there without a search. */
  readonly local: { readonly node: string; readonly seq: number; readonly log: string } | undefined;
  readonly read: ReadSoFar;
}

export const NOTHING_READ: LogStanding = {
  log: undefined,
  local: undefined,
  read: readFrom(evenFrontier(0)),
};

export interface RecordInStream {
  readonly seq: number;
  readonly record: CopyRecord;
}

/** What a message of the stream is to a reader. `late`: it stands behind younger ones, as a domain that was filled in. */
export type Course = "passed" | "next" | "late";

const COPY = controlRecordSubject("copy");
const CONTROL = "_cim";

/** Goes along the log or a copy, message by message, and tells what of it was read before. */
export class LogCourse {
  readonly #node: string;
  #furthest: LogPosition | undefined;
  #standing: LogStanding;
  /** What the stream's records say of the domains that were kept since. */
  #records = new Map<number, CopyRecord>();

  constructor(node: string, standing: LogStanding) {
    this.#node = node;
    this.#standing = standing;
    this.#furthest = parseLogPosition(standing.log);
  }

  get standing(): LogStanding {
    return this.#standing;
  }

  stand(standing: LogStanding): void {
    this.#standing = standing;
    this.#furthest = parseLogPosition(standing.log);
  }

  /**
   * The stream is begun, or begun anew, where the first of these records is in force; without one it tells nothing of its
   * domains. The others come behind it.
   */
  begin(read: ReadSoFar, inForce: CopyRecord | undefined, later: readonly RecordInStream[]): void {
    const none = { live: [], at: null, filling: null };
    const [first = none, ...rest] = keptSince([inForce ?? none, ...later.map(({ record }) => record)]);
    this.#records = new Map(rest.map((record, i) => [later[i]?.seq ?? 0, record]));
    this.#standing = { ...this.#standing, read: withRecord(read, first) };
  }

  take(message: StoredMessage): Course {
    if (message.subject === COPY) {
      const record = this.#records.get(message.seq) ?? readRecord(copyRecord, message);
      this.#records.delete(message.seq);
      if (record) this.#standing = { ...this.#standing, read: withRecord(this.#standing.read, record) };
      return "passed";
    }
    const log = headerValue(message.headerText, HEADER.log);
    const position = parseLogPosition(log);
    if (log === undefined || !position) return "passed";
    const before = this.#furthest;
    let { read } = this.#standing;
    // A restored log: its new reign writes again behind where it was cut off.
    if (before && isYounger(position, before) && position.index <= before.index)
      read = cutBehind(read, position.index - 1);
    const isFurther = !before || isYounger(position, before) || position.index > before.index;
    if (isFurther) this.#furthest = position;
    const domain = domainOf(message.subject);
    const next = withEvent(read, domain === CONTROL ? undefined : domain, position.index);
    this.#standing = {
      log: isFurther ? log : this.#standing.log,
      local: { node: this.#node, seq: message.seq, log },
      read: next ?? read,
    };
    return next === undefined ? "passed" : isFurther ? "next" : "late";
  }
}

function isYounger({ reign }: LogPosition, than: LogPosition): boolean {
  return reign.epoch > than.reign.epoch || (reign.epoch === than.reign.epoch && reign.id !== than.reign.id);
}
