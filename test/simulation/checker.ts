import type { StoredMessage } from "../../shared/protocol/event.ts";
import { uidOf } from "./uid.ts";

// Judges a run by its streams alone: numbers in bodies and header lines, none of the code under test.

export interface Append {
  readonly uid: number;
  readonly node: string;
  /** The event before it in the same outbox; 0: the first. */
  readonly after: number;
  /** Larger than the log takes. */
  readonly tooLarge: boolean;
}

export interface FinalState {
  readonly appends: readonly Append[];
  /** Events that a fault of a disk took the last instance of. */
  readonly destroyed: ReadonlySet<number>;
  readonly deletedByHand: ReadonlySet<number>;
  /** Whole, with what retention took from its beginning. */
  readonly log: readonly StoredMessage[];
  /** How many of it retention took: a copy need not have those. */
  readonly firstKept: number;
  readonly leaves: readonly {
    readonly name: string;
    readonly outbox: readonly StoredMessage[];
    readonly copy: readonly StoredMessage[];
    readonly setAside: ReadonlyMap<number, string>;
  }[];
  /** The log was restored more than once, or beside other losses: what a copy alone has may end up set aside. */
  readonly asideIsEnough: boolean;
}

function header(message: StoredMessage, name: string): string | undefined {
  return message.headerText
    .split("\r\n")
    .find((line) => line.startsWith(`${name}: `))
    ?.slice(name.length + 2);
}

/** What is wrong, one line each; empty: nothing. */
export function faultsOf(state: FinalState): string[] {
  return [
    ...logFaults(state.log),
    ...eventFaults(state),
    ...orderFaults(state),
    ...state.leaves.flatMap(({ name, copy }) => copyFaults(name, copy, state)),
  ];
}

/** Indexes grow by one from one on; a reign begins with its record (the first one with its fence) and does not come back. */
function logFaults(log: readonly StoredMessage[]): string[] {
  const faults: string[] = [];
  const over = new Set<string>();
  let reign = "";
  log.forEach((message, i) => {
    const [, thisReign = "", index = ""] = /^(\S+)\.(\d+)$/.exec(header(message, "Cim-Log") ?? "") ?? [];
    if (Number(index) !== i + 1) faults.push(`log message ${i + 1} has index ${index}`);
    if (thisReign !== reign) {
      const begins = i === 0 ? log[1] : message;
      if (begins && begins.subject !== "cim.events._cim.reign")
        faults.push(`reign ${thisReign} begins without its record at ${index}`);
      if (over.has(thisReign)) faults.push(`reign ${thisReign} comes back at ${index}`);
      over.add(thisReign);
      reign = thisReign;
    }
    const strange = message.headerText.split("\r\n").filter((line) => /^nats-/i.test(line));
    if (strange.length > 0) faults.push(`log message ${index} carries ${strange.join(", ")}`);
  });
  return faults;
}

function eventFaults(state: FinalState): string[] {
  const { appends, destroyed, deletedByHand, log, leaves, asideIsEnough } = state;
  const faults: string[] = [];
  const inLog = countUids(log);
  const refusedIds = new Map<string, number>();
  for (const message of log) {
    if (message.subject !== "cim.events._cim.refused") continue;
    const { id } = JSON.parse(Buffer.from(message.body).toString()) as { id: string };
    refusedIds.set(id, (refusedIds.get(id) ?? 0) + 1);
  }
  for (const [id, times] of refusedIds) if (times > 1) faults.push(`${id} was refused ${times} times`);
  for (const { uid, node, tooLarge } of appends) {
    const times = inLog.get(uid) ?? 0;
    const what = `event ${uid} of ${node}`;
    if (times > 1) faults.push(`${what} is in the log ${times} times`);
    if (times === 1 && tooLarge) faults.push(`${what} is too large and in the log`);
    if (deletedByHand.has(uid)) continue;
    const origin = leaves.find(({ name }) => name === node);
    const atOrigin = origin?.outbox.some((message) => uidOf(message) === uid) ?? false;
    const aside = leaves.some(({ setAside }) => setAside.has(uid));
    if (tooLarge) {
      if (!destroyed.has(uid) && !aside) faults.push(`${what} was refused and is not set aside`);
      continue;
    }
    if (times === 1) continue;
    if (atOrigin) faults.push(`${what} is in its outbox and not in the log`);
    else if (!destroyed.has(uid) && !(aside && asideIsEnough)) faults.push(`${what} is lost`);
  }
  return faults;
}

/** Along each outbox's history the log has its events in their order. */
function orderFaults({ appends, log, deletedByHand }: FinalState): string[] {
  const faults: string[] = [];
  const at = new Map<number, number>();
  log.forEach((message, i) => {
    const uid = uidOf(message);
    if (uid !== undefined) at.set(uid, i);
  });
  const byUid = new Map(appends.map((append) => [append.uid, append]));
  for (const { uid, node } of appends) {
    const here = at.get(uid);
    if (here === undefined || deletedByHand.has(uid)) continue;
    // Some before it may be nowhere: the nearest that is in the log counts.
    let before = byUid.get(byUid.get(uid)?.after ?? 0);
    while (before && (!at.has(before.uid) || deletedByHand.has(before.uid))) before = byUid.get(before.after);
    const there = before && at.get(before.uid);
    if (before && there !== undefined && there > here)
      faults.push(`event ${uid} of ${node} stands before ${before.uid}, which was appended earlier`);
  }
  return faults;
}

function copyFaults(
  name: string,
  copy: readonly StoredMessage[],
  { log: whole, firstKept }: FinalState,
): string[] {
  const faults: string[] = [];
  const log = whole.slice(Math.min(firstKept, Math.max(0, whole.length - copy.length)));
  for (let i = 0; i < Math.max(copy.length, log.length); i++) {
    const mine = copy[i];
    const theirs = log[i];
    const same =
      mine &&
      theirs &&
      mine.subject === theirs.subject &&
      mine.headerText === theirs.headerText &&
      Buffer.compare(mine.body, theirs.body) === 0;
    if (same) continue;
    const tell = (message: StoredMessage | undefined) => (message ? header(message, "Cim-Log") : "nothing");
    faults.push(`message ${i + 1} of ${name}'s copy is ${tell(mine)}, of the log ${tell(theirs)}`);
    break;
  }
  return faults;
}

function countUids(messages: readonly StoredMessage[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const message of messages) {
    const uid = uidOf(message);
    if (uid !== undefined) counts.set(uid, (counts.get(uid) ?? 0) + 1);
  }
  return counts;
}
