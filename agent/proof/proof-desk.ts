import type { NatsConnection, Subscription } from "@nats-io/transport-node";
import type { PlaceRange } from "../../shared/consistency/proof/block-sums.ts";
import { CONTROL_DOMAIN } from "../../shared/consistency/proof/place-reader.ts";
import type { Sum } from "../../shared/consistency/proof/sum.ts";
import type { IsWanted } from "../../shared/follow/proof/read-blocks.ts";
import {
  inOutbox,
  inStream,
  listOf,
  type StoredEvents,
  sumsOf,
} from "../../shared/follow/proof/stored-events.ts";
import type { StoredMessages } from "../../shared/follow/proof/stored-messages.ts";
import type { StreamLedger } from "../../shared/follow/proof/stream-ledger.ts";
import { firstKept } from "../../shared/nats/jetstream-api.ts";
import type { Log } from "../../shared/observe/log.ts";
import { followsDomain } from "../../shared/protocol/control-records.ts";
import {
  type Held,
  type ListRequest,
  type ProofReply,
  type ProofRequest,
  proofRequest,
  type SumsRequest,
} from "../../shared/protocol/proof-messages.ts";
import { formatReign, type LogPosition } from "../../shared/protocol/reign.ts";
import { controlSubject, isAnswerable } from "../../shared/protocol/subjects.ts";

/** A node's copy as its proof sees it. */
export interface ProvenCopy {
  readonly ledger: StreamLedger;
  readonly messages: StoredMessages;
  /** Up to where the copy has all of the domains it follows; undefined: that can't be said now. */
  readonly position: () => LogPosition | undefined;
  readonly domains: () => readonly string[];
  /** Drops it and fills it again; false: not now. */
  readonly refill: () => boolean;
}

export interface ProofDeskInit {
  readonly nc: NatsConnection;
  readonly node: string;
  readonly log: Log;
  readonly outbox: StoredMessages;
  /** Up to where the log durably has the outbox. */
  readonly confirmed: () => number;
  readonly incarnation: () => number;
  readonly copy?: ProvenCopy;
}

/** More wait than a coordinator ever asks at once: somebody else asks. */
const MOST_WAITING = 32;

/** Tells the coordinator what the node holds, so that it can be compared with the log. One question at a time. */
export class ProofDesk {
  readonly #init: ProofDeskInit;
  #subscription: Subscription | undefined;
  #turn: Promise<void> = Promise.resolve();
  #waiting = 0;
  #ended = false;

  constructor(init: ProofDeskInit) {
    this.#init = init;
  }

  start(): void {
    const { nc, node, log } = this.#init;
    this.#subscription = nc.subscribe(controlSubject(node, "proof"), {
      callback: (error, message) => {
        if (error || !isAnswerable(message.reply) || this.#waiting >= MOST_WAITING) return;
        this.#waiting += 1;
        this.#turn = this.#turn
          .then(async () => {
            if (this.#ended) return;
            const reply = await this.#answer(message.data);
            if (!nc.isClosed()) message.respond(JSON.stringify(reply));
          })
          .catch((fault: unknown) => log.debug({ err: fault }, "a question for the proof stays unanswered"))
          .finally(() => {
            this.#waiting -= 1;
          });
      },
    });
  }

  stop(): void {
    this.#ended = true;
    // What is being read is not waited for: nobody gets the answer any more.
    this.#subscription?.unsubscribe();
  }

  async #answer(data: Uint8Array): Promise<ProofReply> {
    const request = readRequest(data);
    if (!request) return { kind: "none", reason: "the question can't be read" };
    if (request.op === "refill")
      return this.#init.copy?.refill()
        ? { kind: "refilling" }
        : { kind: "none", reason: "the copy does not follow the log just now" };
    return await (request.of === "copy" ? this.#ofCopy(request) : this.#ofOutbox(request));
  }

  async #ofCopy(request: SumsRequest | ListRequest): Promise<ProofReply> {
    const { copy } = this.#init;
    if (!copy) return { kind: "none", reason: "no copy is kept here" };
    const position = copy.position();
    if (!position) return { kind: "none", reason: "the copy is being mended" };
    const domains = copy.domains();
    // What following wrote up to that position is in the stream: behind it, it is counted.
    await copy.ledger.upToDate();
    const isWanted: IsWanted = (domain) =>
      domain === CONTROL_DOMAIN
        ? request.domains === null
        : followsDomain(domains, domain) && (request.domains?.includes(domain) ?? true);
    const held = {
      first: 0,
      last: position.index,
      reign: formatReign(position.reign),
      domains: [...domains],
      incarnation: 0,
    };
    const { look } = request;
    if (request.op === "sums" && look === "counted") {
      const sums: Sum[] = [];
      for (const range of clipped(request.ranges, 1, position.index))
        sums.push(await copy.ledger.sumOf(range, isWanted));
      return sumsReply({ ...held, disk: true }, sums);
    }
    const events = (range: PlaceRange) =>
      inStream(copy.ledger, copy.messages, range, isWanted, look === "counted" ? "stored" : look);
    return await answered(request, held, 1, events, copy.messages);
  }

  async #ofOutbox(request: SumsRequest | ListRequest): Promise<ProofReply> {
    const { node, outbox, confirmed, incarnation } = this.#init;
    const state = await outbox.figures();
    const first = firstKept(state);
    const held = { first, last: confirmed(), reign: null, domains: [], incarnation: incarnation() };
    const except = new Set(request.except);
    const look = request.look === "counted" ? "stored" : request.look;
    const events = (range: PlaceRange) => inOutbox(node, outbox, range, except, look);
    return await answered(request, held, first, events, outbox);
  }
}

async function answered(
  request: SumsRequest | ListRequest,
  held: Omit<Held, "disk">,
  first: number,
  events: (range: PlaceRange) => StoredEvents,
  messages: StoredMessages,
): Promise<ProofReply> {
  if (request.op === "list") {
    const [range] = clipped([request.range], first, held.last) as [PlaceRange];
    const list = range.to < range.from ? [] : await listOf(events(range), range);
    const rows = list.map(
      ({ place, id, domain, content }) => [place, id, domain, content] as [number, string, string, string],
    );
    return { kind: "list", ...held, disk: messages.readsDisk, events: rows };
  }
  const ranges = clipped(request.ranges, first, held.last);
  const from = Math.min(...ranges.map((one) => one.from));
  const to = Math.max(...ranges.map((one) => one.to));
  const sums =
    to < from
      ? ranges.map(() => ({ count: 0, high: 0, low: 0 }))
      : await sumsOf(events({ from, to }), ranges);
  return sumsReply({ ...held, disk: messages.readsDisk }, sums);
}

const sumsReply = (held: Held, sums: readonly Sum[]): ProofReply => ({
  kind: "sums",
  ...held,
  sums: sums.map(({ count, high, low }) => [count, high, low] as [number, number, number]),
});

function clipped(ranges: readonly (readonly [number, number])[], first: number, last: number): PlaceRange[] {
  return ranges.map(([from, to]) => ({ from: Math.max(from, first), to: Math.min(to, last) }));
}

function readRequest(data: Uint8Array): ProofRequest | undefined {
  try {
    return proofRequest.safeParse(JSON.parse(Buffer.from(data).toString("utf8"))).data;
  } catch {
    return undefined;
  }
}
