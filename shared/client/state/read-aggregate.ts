import type { NatsConnection } from "@nats-io/transport-node";
import { LaneHistory } from "../../consistency/clock/lane-history.ts";
import { isLaneRecord, LANE_RECORDS, takeLaneRecord } from "../../consistency/clock/lane-records.ts";
import { contractFor } from "../../consistency/contract/contract.ts";
import { foldEvent, foldOwnEvent, isPoison } from "../../consistency/resolve/fold-event.ts";
import { loadResolver } from "../../consistency/resolve/load-resolver.ts";
import type { Resolver } from "../../consistency/resolve/resolver.ts";
import { readCopyRecord } from "../../follow/copy-record.ts";
import { readState } from "../../follow/read-state.ts";
import { type FromQuery, getMessages } from "../../nats/get-message.ts";
import { streamState, unlessMissing } from "../../nats/jetstream-api.ts";
import { StreamReader } from "../../nats/stream-reader.ts";
import { followsDomain } from "../../protocol/control-records.ts";
import { errorText } from "../../protocol/error-text.ts";
import type { StoredMessage } from "../../protocol/event.ts";
import { headerValue } from "../../protocol/headers.ts";
import { loggedEvent } from "../../protocol/logged-event.ts";
import { HEADER, STREAM } from "../../protocol/names.ts";
import { EVENTS_PREFIX, isDomain, isToken } from "../../protocol/subjects.ts";
import { AggregateFold } from "./aggregate-fold.ts";
import { type AggregateState, StateUnavailable } from "./aggregate-state.ts";
import { KnownLanes } from "./known-lanes.ts";
import { readContracts } from "./read-contracts.ts";

const INBOX_PREFIX = "_INBOX";
/** So far the clock of a server may be set back between its storing an event twice: in its outbox, and in its log or copy. */
const CLOCK_SET_BACK_MS = 600_000;

/** Which aggregate, and by which subjects its events go. */
interface Aggregate {
  readonly domain: string;
  readonly aggregate: string;
  readonly events: string;
}

/** Tells what aggregates' events come to, from what one node has. */
export class AggregateReader {
  readonly #nc: NatsConnection;
  readonly #node: string;
  readonly #timeoutMs: number;
  readonly #lanes: KnownLanes;

  constructor(nc: NatsConnection, node: string, timeoutMs: number) {
    this.#nc = nc;
    this.#node = node;
    this.#timeoutMs = timeoutMs;
    this.#lanes = new KnownLanes({ nc, node, inboxPrefix: INBOX_PREFIX, timeoutMs });
  }

  /**
   * The state that the node's folder keeps, taken further by the events of the log or copy that it has not folded yet; where
   * none is kept, what all events in the log or copy come to. Then the node's own events that are not in the log yet.
   *
   * @throws {TypeError} that is no aggregate
   * @throws {StateUnavailable} {StateUnreadable}, or the client's error
   */
  async read(domain: string, aggregate: string): Promise<AggregateState> {
    checkAggregate(domain, aggregate);
    const of = { domain, aggregate, events: `${EVENTS_PREFIX}${domain}.${aggregate}.*` };
    const kept = await readState(this.#nc, domain, aggregate, { timeoutMs: this.#timeoutMs });
    const log = await unlessMissing(streamState(this.#nc, STREAM.events, { timeoutMs: this.#timeoutMs }));
    // An own event may come into the log at any moment: what is behind this is read from the outbox alone.
    const end = log?.last_seq ?? 0;
    if (log) await this.#lanes.catchUp();
    const fold = new AggregateFold({
      node: this.#node,
      domain,
      aggregate,
      stored: kept.kind === "found" ? kept.state : undefined,
      resolver: () => this.#resolverOf(domain),
    });
    let complete = true;
    let lanes = this.#lanes.history;
    if (kept.kind !== "not-kept") {
      // Of what the log said before its beginning, the folder still knows.
      lanes = LaneHistory.merge(lanes.encode(), kept.checkpoint.lanes);
      const query = { seq: kept.checkpoint.seq + 1, next_by_subj: of.events };
      for (const message of await this.#messages(STREAM.events, query))
        if (message.seq <= end) await this.#takeLogged(fold, message, lanes);
    } else if (log) {
      await this.#foldLog(fold, of, end);
      complete = log.first_seq <= 1 && (await this.#follows(domain));
    } else complete = false;
    await this.#foldOutbox(fold, of, lanes, end);
    return fold.result(this.#lanes.own, complete);
  }

  async #foldLog(fold: AggregateFold, { events }: Aggregate, lastSeq: number): Promise<void> {
    const lanes = new LaneHistory();
    await using reader = await new StreamReader({
      nc: this.#nc,
      stream: STREAM.events,
      startSeq: 1,
      filters: [events, ...LANE_RECORDS],
      timeoutMs: this.#timeoutMs,
    }).start();
    for await (const messages of reader.backlog(lastSeq)) {
      for (const message of messages) {
        if (message.seq > lastSeq) return;
        if (isLaneRecord(message)) takeLaneRecord(lanes, message);
        else await this.#takeLogged(fold, message, lanes);
      }
    }
  }

  async #takeLogged(fold: AggregateFold, message: StoredMessage, lanes: LaneHistory): Promise<void> {
    const event = foldEvent(message, lanes);
    if (!event || isPoison(event)) return;
    await fold.takeLogged(event, headerValue(message.headerText, HEADER.log) ?? "");
  }

  async #foldOutbox(
    fold: AggregateFold,
    { events }: Aggregate,
    lanes: LaneHistory,
    end: number,
  ): Promise<void> {
    const { own: incarnation } = this.#lanes;
    const kept = await this.#messages(STREAM.outbox, { seq: 1, next_by_subj: events });
    const logged = await this.#loggedSince(kept[0], events, end);
    for (const message of kept) {
      const event = foldOwnEvent(message, { node: this.#node, incarnation, lanes });
      if (event && !isPoison(event) && !logged.has(event.id)) await fold.takeOwn(event);
    }
  }

  /**
   * Ids of own events that the log or copy has up to `end` of those that the outbox stored from this one on. A state does not say which
   * are in it, once they were overwritten; but none can have come into the log before it was in the outbox, by the clock of
   * the one server that stores both.
   */
  async #loggedSince(
    oldest: StoredMessage | undefined,
    events: string,
    end: number,
  ): Promise<ReadonlySet<string>> {
    if (!oldest || end === 0) return new Set();
    const startTime = new Date(oldest.timeUs / 1000 - CLOCK_SET_BACK_MS).toISOString();
    const since = await this.#messages(STREAM.events, { start_time: startTime, next_by_subj: events });
    const logged = since.filter(({ seq }) => seq <= end).map(loggedEvent);
    return new Set(logged.flatMap((one) => (one?.origin.node === this.#node ? [one.id] : [])));
  }

  async #messages(stream: string, query: FromQuery): Promise<StoredMessage[]> {
    return await getMessages(this.#nc, stream, query, {
      inboxPrefix: INBOX_PREFIX,
      timeoutMs: this.#timeoutMs,
    });
  }

  async #follows(domain: string): Promise<boolean> {
    const record = await readCopyRecord(this.#nc, { timeoutMs: this.#timeoutMs });
    // A hub's log has no such record.
    return record === undefined || followsDomain(record.live, domain);
  }

  async #resolverOf(domain: string): Promise<Resolver<unknown>> {
    const contracts = await readContracts(this.#nc, this.#timeoutMs);
    try {
      return await loadResolver(contractFor(contracts, domain));
    } catch (cause) {
      throw new StateUnavailable(`events of ${domain} can't be folded here: ${errorText(cause)}`, { cause });
    }
  }
}

/** Without the types' help a program may pass what is no text. @throws {TypeError} */
function checkAggregate(domain: unknown, aggregate: unknown): void {
  const refuse = (part: string, given: unknown, write: string) => {
    throw new TypeError(`${part}: ${JSON.stringify(given)} is none; write ${write}`);
  };
  if (typeof domain !== "string" || !isDomain(domain)) refuse("domain", domain, "one word, as person");
  if (typeof aggregate !== "string" || !aggregate.split(".").every(isToken))
    refuse("aggregate", aggregate, "it as in its events' subjects, as ada");
}
