import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import {
  blockOf,
  firstOfBlock,
  lastOfBlock,
  type PlaceRange,
} from "../../shared/consistency/proof/block-sums.ts";
import { compareSides, type Side } from "../../shared/consistency/proof/compare-sides.ts";
import { CONTROL_DOMAIN } from "../../shared/consistency/proof/place-reader.ts";
import { NOTHING, plus } from "../../shared/consistency/proof/sum.ts";
import type { IsWanted } from "../../shared/follow/proof/read-blocks.ts";
import { inLane } from "../../shared/follow/proof/stored-events.ts";
import type { StoredMessages } from "../../shared/follow/proof/stored-messages.ts";
import type { StreamLedger } from "../../shared/follow/proof/stream-ledger.ts";
import { followsDomain } from "../../shared/protocol/control-records.ts";
import type { Look } from "../../shared/protocol/proof-messages.ts";
import type { LogState } from "../sequencer/log-state.ts";
import { type Finding, findingOf } from "./finding.ts";
import { lineageOf, readLaneRecords } from "./lineage.ts";
import { LogSide } from "./log-side.ts";
import { NodeQuestions, NotComparable, type Question } from "./node-side.ts";

export interface CheckOptions {
  readonly look: Look;
  /** One domain alone, of a copy. */
  readonly domain?: string;
  /** Names the events that differ. */
  readonly deep?: boolean;
  /** Called before each chunk; false: ends. */
  readonly next?: (range: PlaceRange, whole: PlaceRange) => Promise<boolean>;
}

export interface NodeCheckInit {
  readonly nc: NatsConnection;
  readonly inboxPrefix: string;
  readonly ledger: StreamLedger;
  readonly messages: StoredMessages;
  readonly state: () => LogState | undefined;
}

/** What is read at once, in blocks: some tens of thousands of events, a second or two on a slow machine. */
const CHUNK_BLOCKS = 8;
/** Between a first look and the second: what was on its way has come. */
const SETTLE_MS = 500;

/** Compares the log with what a node holds. */
export class NodeCheck {
  readonly #init: NodeCheckInit;
  readonly questions: NodeQuestions;

  constructor(init: NodeCheckInit) {
    this.#init = init;
    this.questions = new NodeQuestions(init.nc);
  }

  /** The log, for one comparison with all nodes: what is read of it for one of them serves the others. */
  logSide(): LogSide {
    return new LogSide(this.#init.ledger, this.#init.messages);
  }

  /** The node's copy, from the log's beginning up to where it has come. @throws NotComparable, ReaderBroken, the client's errors */
  async copy(node: string, options: CheckOptions, log: LogSide): Promise<Finding> {
    const { look, domain } = options;
    const { ledger } = this.#init;
    const question: Question = {
      node,
      of: "copy",
      look,
      domains: domain === undefined ? null : [domain],
      except: [],
    };
    const held = await this.questions.held(question);
    await ledger.upToDate();
    if (held.last > ledger.index) throw new NotComparable(`${node} has more than the log`);
    const isWanted: IsWanted = (one) =>
      one === CONTROL_DOMAIN
        ? domain === undefined
        : followsDomain(held.domains, one) && (domain === undefined || one === domain);
    const range = { from: await ledger.firstIndex(), to: held.last };
    const reference = log.copySide(isWanted, look);
    const difference = await this.#compare(reference, this.questions.side(question, held), range, options);
    const sum = await ledger.sumOf(range, isWanted);
    return findingOf({ ...factsOf(question, range), disk: held.disk }, sum, difference);
  }

  /** The node's outbox, from what it still has up to what the log confirmed. @throws as `copy` does */
  async outbox(node: string, options: CheckOptions, log: LogSide): Promise<Finding> {
    const { ledger } = this.#init;
    const lane = this.#init.state()?.lanes.get(node);
    const look = options.look === "content" ? "content" : "stored";
    const question: Question = { node, of: "outbox", look, domains: null, except: [] };
    const held = await this.questions.held(question);
    if (!lane) throw new NotComparable(`the log has nothing of ${node}`);
    if (held.incarnation !== lane.incarnation) throw new NotComparable(`${node} begins a new outbox`);
    await ledger.upToDate();
    const { nc, inboxPrefix } = this.#init;
    const records = await readLaneRecords(nc, inboxPrefix, node);
    const lineage = lineageOf(records.starts, lane.incarnation);
    const to = Math.min(held.last, lane.mark.seq);
    const from = await this.#firstInLog({ from: held.first, to }, { node, lineage });
    const range = { from, to };
    const except = records.refused.filter((seq) => seq >= from && seq <= to);
    const found = this.questions.side({ ...question, except }, held);
    const plain = log.outboxSide({ node, lineage }, look);
    let sum = NOTHING;
    const reference: Side = {
      ...plain,
      sums: async (ranges, isFresh) => {
        const sums = await plain.sums(ranges, isFresh);
        if (!isFresh) sum = sums.reduce(plus, sum);
        return sums;
      },
    };
    const difference = await this.#compare(reference, found, range, options);
    return findingOf({ ...factsOf(question, range), disk: held.disk }, sum, difference);
  }

  async #compare(reference: Side, found: Side, range: PlaceRange, { look, deep, next }: CheckOptions) {
    return await compareSides({
      reference,
      found,
      range,
      // What is known by sums need not be cut; what must be read is read in pieces.
      ...(look !== "counted" && { chunkBlocks: CHUNK_BLOCKS }),
      deep: deep ?? false,
      ...(next && { next: (chunk: PlaceRange) => next(chunk, range) }),
      settle: () => sleep(SETTLE_MS),
    });
  }

  /** A log that was purged no longer has what an outbox may still keep. */
  async #firstInLog({ from, to }: PlaceRange, of: Parameters<typeof inLane>[3]): Promise<number> {
    const { ledger, messages } = this.#init;
    if ((await ledger.firstIndex()) <= 1) return from;
    for (let block = blockOf(from); block <= blockOf(to); block++) {
      const range = { from: Math.max(from, firstOfBlock(block)), to: Math.min(to, lastOfBlock(block)) };
      let lowest = Number.POSITIVE_INFINITY;
      for await (const { place } of inLane(ledger, messages, range, of, "stored"))
        lowest = Math.min(lowest, place);
      if (lowest <= to) return lowest;
    }
    return to + 1;
  }
}

function factsOf({ node, of, look }: Question, { from, to }: PlaceRange) {
  return { node, of, look, checkedAt: new Date().toISOString(), from, upTo: to };
}
