import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { readEach, readEnd, type Stored } from "../support/checker-read.ts";
import { type Finding, type FindingKind, Judge } from "../support/judge.ts";
import type { Acknowledged } from "../support/ledger.ts";

/** Where the evidence of a run is: streams on servers, and files of what programs were told. */
export interface CheckInput {
  readonly nodes: readonly {
    readonly name: string;
    readonly role: "hub" | "leaf";
    readonly natsUrl: string;
  }[];
  /** Ledgers of writers: a line of JSON per acknowledged event. */
  readonly ledgers: readonly string[];
  /** Ledgers of readers by node: a line `["origin","id"]` per handled event. */
  readonly readers: ReadonlyMap<string, string>;
  /** Events that were sent and never answered, by id: they may be there. */
  readonly unknown?: ReadonlySet<string>;
  /** What log and copies are given to end with the same record. Default 60,000; where nothing runs any more: 0. */
  readonly commonEndTimeoutMs?: number;
}

export interface Verdict {
  readonly ok: boolean;
  readonly acknowledged: number;
  /** Events in the hub's log. */
  readonly logged: number;
  /** Messages that were read from all streams. */
  readonly read: number;
  readonly findings: Readonly<Partial<Record<FindingKind, number>>>;
  /** The first of each kind. */
  readonly examples: readonly string[];
}

const LOG = "CIM_EVENTS";
const examplesOfAKind = 5;

/**
 * Reads what a fleet has by a plain NATS client, and judges it by the ledgers. None of the code that is judged takes
 * part. The fleet should be at rest: what is written meanwhile is not looked at.
 */
export async function checkFleet(input: CheckInput): Promise<Verdict> {
  const { nodes, ledgers, readers, unknown } = input;
  const judge = new Judge({ unacknowledged: ({ id }) => unknown?.has(id) ?? false });
  const ends = await commonEnd(nodes, input.commonEndTimeoutMs ?? 60_000);
  let read = 0;
  const look = async (what: string, url: string, name: string, see: (message: Stored) => void) => {
    let count = 0;
    const state = await readEach(
      url,
      name,
      (message) => {
        count++;
        see(message);
      },
      untilEnd(name === LOG ? ends.get(url) : undefined),
    );
    judge.stream(what, count, state);
    read += count;
  };
  for (const { role, natsUrl } of nodes)
    if (role === "hub") await look("log", natsUrl, LOG, (message) => judge.log(message));
  let acknowledged = 0;
  for (const ledger of ledgers) {
    for await (const line of linesOf(ledger)) {
      acknowledged++;
      judge.acknowledged(JSON.parse(line) as Acknowledged);
    }
  }
  judge.foreign();
  const lookAt = async ({ name, role, natsUrl }: CheckInput["nodes"][number]) => {
    await look(`outbox of ${name}`, natsUrl, "CIM_OUTBOX", (message) => judge.outbox(name, message));
    if (role === "leaf") {
      const copy = judge.copy(name, { domains: ["*"] });
      await look(`copy of ${name}`, natsUrl, LOG, (message) => copy.see(message));
      copy.end();
    }
    const handled = readers.get(name);
    if (handled === undefined) return;
    const reader = judge.reader(name);
    for await (const line of linesOf(handled)) {
      const [node, id] = JSON.parse(line) as [string, string];
      reader.see({ node, id });
    }
    reader.end();
  };
  // One after the other: what many streams have on their way at once is kept long enough to cost more than it saves.
  for (const node of nodes) await lookAt(node);
  return { ...summary(judge.findings), acknowledged, logged: judge.events, read };
}

/**
 * Last sequences, by URL, of the log and its copies at a moment when all ended with the same record: a hub at rest still
 * writes a control record now and then. Without such a moment everything is looked at as it is.
 */
async function commonEnd(
  nodes: CheckInput["nodes"],
  timeoutMs: number,
): Promise<ReadonlyMap<string, number>> {
  const hub = nodes.find(({ role }) => role === "hub");
  const deadlineMs = performance.now() + timeoutMs;
  while (hub && performance.now() < deadlineMs) {
    const before = await readEnd(hub.natsUrl, LOG);
    const ends = await Promise.all(nodes.map(async ({ natsUrl }) => await readEnd(natsUrl, LOG)));
    if (ends.every(({ index }) => index === before.index))
      return new Map(nodes.map(({ natsUrl }, at) => [natsUrl, ends[at]?.lastSeq ?? 0]));
    await sleep(50);
  }
  return new Map();
}

function untilEnd(untilSeq: number | undefined): { readonly untilSeq?: number } {
  return untilSeq === undefined ? {} : { untilSeq };
}

function summary(all: readonly Finding[]): Pick<Verdict, "ok" | "findings" | "examples"> {
  const findings: Partial<Record<FindingKind, number>> = {};
  const examples: string[] = [];
  for (const { kind, text } of all) {
    const count = (findings[kind] ?? 0) + 1;
    findings[kind] = count;
    if (count <= examplesOfAKind) examples.push(`${kind}: ${text}`);
  }
  return { ok: all.length === 0, findings, examples };
}

async function* linesOf(path: string): AsyncGenerator<string> {
  for await (const line of createInterface({ input: createReadStream(path) })) if (line !== "") yield line;
}
