import type { ReadStream, Stored } from "./checker-read.ts";
import type { Acknowledged } from "./ledger.ts";

/** Everything the judge looks at. */
export interface Evidence {
  /** What the writers were told. */
  readonly acknowledged: readonly Acknowledged[];
  readonly log: ReadStream;
  /** By node. */
  readonly outboxes: ReadonlyMap<string, ReadStream>;
  readonly copies: ReadonlyMap<string, CopyEvidence>;
}

export interface CopyEvidence {
  readonly stream: ReadStream;
  /** What the copy should hold; `*`: everything. */
  readonly domains: readonly string[];
  /** A domain was filled in later, so that the log's order holds within each domain only. */
  readonly filledIn?: boolean;
}

export interface Allowances {
  /** Ids of acknowledged events that an operator gave up, as a hole that nobody can fill. */
  readonly lost?: ReadonlySet<string>;
  /** Ids of acknowledged events that the log refused: kept at their origin, in nobody's log. */
  readonly refused?: ReadonlySet<string>;
  /** Subjects of events that were never acknowledged but may be there. */
  readonly unacknowledged?: (event: Stored) => boolean;
  /** The log was purged: it need not begin at 1, and copies may have more. What went is in `lost`. */
  readonly purged?: boolean;
}

const COPY_RECORD = "cim.events._cim.copy";
const CONTROL_DOMAIN = "_cim";

const domainOf = (subject: string): string => subject.split(".")[2] ?? "";
const isControl = (message: Stored): boolean => domainOf(message.subject) === CONTROL_DOMAIN;
const mostFaults = 12;

/**
 * Judges what a fleet holds by what its writers were told. Gives every fault it finds, one line each; nothing: all is
 * as promised.
 */
export function judge(evidence: Evidence, allow: Allowances = {}): string[] {
  const faults = [
    ...judgeReads(evidence),
    ...judgeIndexes(evidence.log, allow),
    ...judgeLanes(evidence.log),
    ...judgeAcknowledged(evidence, allow),
    ...judgeOutboxes(evidence, allow),
    ...[...evidence.copies].flatMap(([node, copy]) => judgeCopy(node, copy, evidence.log, allow)),
  ];
  return faults.length <= mostFaults
    ? faults
    : [...faults.slice(0, mostFaults), `… and ${faults.length - mostFaults} more`];
}

/** A damaged store gives fewer messages than it says it has, without an error. */
function judgeReads({ log, outboxes, copies }: Evidence): string[] {
  const streams = [
    ["log", log] as const,
    ...[...outboxes].map(([node, stream]) => [`outbox of ${node}`, stream] as const),
    ...[...copies].map(([node, { stream }]) => [`copy of ${node}`, stream] as const),
  ];
  return streams
    .filter(([, { messages, said }]) => messages.length !== said)
    .map(([what, { messages, said }]) => `${what}: ${messages.length} messages read, it says it has ${said}`);
}

function judgeIndexes(log: ReadStream, { purged = false }: Allowances): string[] {
  const faults: string[] = [];
  let before = purged ? undefined : 0;
  for (const { log: position, streamSeq } of log.messages) {
    if (!position) faults.push(`log: message ${streamSeq} has no place in the log`);
    else if (before !== undefined && position.index !== before + 1)
      faults.push(`log: index ${position.index} stands after ${before}`);
    before = position?.index ?? before;
  }
  return faults;
}

/** An origin's events are there once, and in the origin's order. */
function judgeLanes(log: ReadStream): string[] {
  const faults: string[] = [];
  const last = new Map<string, { incarnation: number; seq: number }>();
  const ids = new Map<string, number>();
  for (const { origin, id, log: position } of log.messages) {
    if (!origin) continue;
    const { node, incarnation, seq } = origin;
    const before = last.get(node);
    const forward =
      !before || incarnation > before.incarnation || (incarnation === before.incarnation && seq > before.seq);
    if (!forward)
      faults.push(
        `log: ${node} ${incarnation}/${seq} stands after ${before.incarnation}/${before.seq} at ${position?.index}`,
      );
    last.set(node, { incarnation, seq });
    const first = ids.get(`${node} ${id}`);
    if (first !== undefined)
      faults.push(`log: ${node}'s event ${id} is there twice, at ${first} and ${position?.index}`);
    ids.set(`${node} ${id}`, position?.index ?? 0);
  }
  return faults;
}

/** What a writer was told is stored is in the log, unchanged, and nothing is there that nobody wrote. */
function judgeAcknowledged({ acknowledged, log }: Evidence, allow: Allowances): string[] {
  const faults: string[] = [];
  const events = log.messages.filter((message) => !isControl(message));
  const byWriter = new Map<string, Stored>();
  for (const event of events) byWriter.set(`${event.origin?.node} ${event.id}`, event);
  const bySequence = new Map<string, Stored>();
  for (const event of events) bySequence.set(`${event.origin?.node} ${event.origin?.seq}`, event);
  const written = new Set<Stored>();
  for (const { node, id, seq, subject, body } of acknowledged) {
    const event = id === null ? bySequence.get(`${node} ${seq}`) : byWriter.get(`${node} ${id}`);
    if (event) written.add(event);
    const key = id ?? `${node} ${seq}`;
    const absent = allow.lost?.has(key) || allow.refused?.has(key);
    if (!event) {
      if (!absent) faults.push(`log: ${node}'s acknowledged event ${seq} (${id ?? "no id"}) is missing`);
      continue;
    }
    if (absent) faults.push(`log: ${node}'s event ${key} is there, though it was given up`);
    if (event.origin?.seq !== seq)
      faults.push(
        `log: ${node}'s event ${key} says sequence ${event.origin?.seq}, the writer was told ${seq}`,
      );
    if (event.subject !== subject || event.body !== body)
      faults.push(`log: ${node}'s event ${key} is not what was written`);
  }
  for (const event of events) {
    if (written.has(event) || allow.unacknowledged?.(event)) continue;
    const { node, seq } = event.origin ?? {};
    faults.push(
      `log: event ${node}/${seq} (${event.id}) at ${event.log?.index} was never written by anybody`,
    );
  }
  return faults;
}

/** Whatever an outbox holds is in the log. */
function judgeOutboxes({ outboxes, log }: Evidence, allow: Allowances): string[] {
  const faults: string[] = [];
  const logged = new Set<string>();
  for (const { origin, subject, body } of log.messages)
    if (origin) logged.add(`${origin.node} ${origin.seq} ${subject} ${body}`);
  for (const [node, { messages }] of outboxes) {
    for (const { streamSeq, subject, body, id } of messages) {
      if (logged.has(`${node} ${streamSeq} ${subject} ${body}`)) continue;
      if (allow.lost?.has(id) || allow.refused?.has(id)) continue;
      faults.push(`log: event ${streamSeq} (${id}) of ${node}'s outbox is missing`);
    }
  }
  return faults;
}

/** A copy is the log, or what it holds of it, in the same order. */
function judgeCopy(node: string, copy: CopyEvidence, log: ReadStream, allow: Allowances): string[] {
  const holds = (subject: string) => {
    const domain = domainOf(subject);
    return domain === CONTROL_DOMAIN || copy.domains.includes("*") || copy.domains.includes(domain);
  };
  const firstIndex = log.messages[0]?.log?.index ?? 0;
  const expected = log.messages.filter(({ subject }) => holds(subject));
  const actual = copy.stream.messages.filter(
    ({ subject, log: position }) =>
      subject !== COPY_RECORD && !(allow.purged && (position?.index ?? 0) < firstIndex),
  );
  if (!copy.filledIn) return differences(`copy of ${node}`, expected, actual);
  const domains = new Set([...expected, ...actual].map(({ subject }) => domainOf(subject)));
  return [...domains].flatMap((domain) =>
    differences(
      `copy of ${node}, domain ${domain}`,
      expected.filter(({ subject }) => domainOf(subject) === domain),
      actual.filter(({ subject }) => domainOf(subject) === domain),
    ),
  );
}

function differences(what: string, expected: readonly Stored[], actual: readonly Stored[]): string[] {
  const faults: string[] = [];
  const keyOf = ({ log: position, subject, id, body, origin }: Stored) =>
    [position?.reign, position?.index, subject, id, body, origin && Object.values(origin).join("/")].join(
      " ",
    );
  const wanted = expected.map(keyOf);
  const found = actual.map(keyOf);
  const [inLog, inCopy] = [new Set(wanted), new Set(found)];
  const missing = wanted.filter((key) => !inCopy.has(key));
  const foreign = found.filter((key) => !inLog.has(key));
  if (missing.length > 0) faults.push(`${what}: ${missing.length} missing, first ${missing[0]}`);
  if (foreign.length > 0) faults.push(`${what}: ${foreign.length} not in the log, first ${foreign[0]}`);
  if (inCopy.size !== found.length) faults.push(`${what}: ${found.length - inCopy.size} doubled`);
  if (faults.length > 0) return faults;
  const at = wanted.findIndex((key, i) => found[i] !== key);
  return at < 0 ? [] : [`${what}: place ${at + 1} has ${found[at]}, the log has ${wanted[at]}`];
}
