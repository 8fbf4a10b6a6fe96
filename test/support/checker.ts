import type { ReadStream } from "./checker-read.ts";
import { type Allowances, type CopyShape, Judge } from "./judge.ts";
import type { Acknowledged } from "./ledger.ts";

/** Everything the judge looks at, where it fits into memory. */
export interface Evidence {
  /** What the writers were told. */
  readonly acknowledged: readonly Acknowledged[];
  readonly log: ReadStream;
  /** By node. */
  readonly outboxes: ReadonlyMap<string, ReadStream>;
  readonly copies: ReadonlyMap<string, CopyEvidence>;
}

export interface CopyEvidence extends CopyShape {
  readonly stream: ReadStream;
}

const mostFaults = 12;

/** Gives every fault the judge finds, one line each; nothing: all is as promised. */
export function judge(evidence: Evidence, allow: Allowances = {}): string[] {
  const judge = new Judge(allow);
  const { log, acknowledged, outboxes, copies } = evidence;
  for (const message of log.messages) judge.log(message);
  judge.stream("log", log.messages.length, log);
  for (const entry of acknowledged) judge.acknowledged(entry);
  judge.foreign();
  for (const [node, stream] of outboxes) {
    for (const message of stream.messages) judge.outbox(node, message);
    judge.stream(`outbox of ${node}`, stream.messages.length, stream);
  }
  for (const [node, { stream, ...shape }] of copies) {
    const copy = judge.copy(node, shape);
    for (const message of stream.messages) copy.see(message);
    copy.end();
    judge.stream(`copy of ${node}`, stream.messages.length, stream);
  }
  const faults = judge.findings.map(({ text }) => text);
  return faults.length <= mostFaults
    ? faults
    : [...faults.slice(0, mostFaults), `… and ${faults.length - mostFaults} more`];
}
