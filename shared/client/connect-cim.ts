import type { NatsConnection } from "@nats-io/transport-node";
import { MAX_BATCH_MESSAGES } from "../nats/batch-publisher.ts";
import { connectNats } from "../nats/connect.ts";
import { ConnectionWatch } from "../nats/connection-watch.ts";
import { AppendClock } from "./append-clock.ts";
import { ClientClosed, EventRejected } from "./append-errors.ts";
import { AppendQueue } from "./append-queue.ts";
import { checkNodeVersion, checkServerUrl } from "./check-start.ts";
import type { Appended, AppendOptions, CimClient, ConnectCimOptions } from "./cim-client.ts";
import {
  type CommandHandler,
  type HandleOptions,
  type Handling,
  handleCommands,
} from "./commands/handle-commands.ts";
import { KeptRoutes } from "./commands/kept-routes.ts";
import {
  type CommandAnswer,
  type CommandOptions,
  type CommandToSend,
  sendCommand,
} from "./commands/send-command.ts";
import {
  type AppendLimits,
  checkAreEvents,
  checkBatchBytes,
  checkExpectations,
  type EventToAppend,
  encodeEvent,
} from "./event-to-append.ts";
import { type FindOptions, type Found, findEvent } from "./find-event.ts";
import { KeptLimits } from "./kept-limits.ts";
import { outboxLimits } from "./outbox-limits.ts";
import { OutboxWriter } from "./outbox-writer.ts";
import type { GroupReaderOptions } from "./reader/group-options.ts";
import { GroupReader } from "./reader/group-reader.ts";
import { NamedReader, type NamedReaderOptions } from "./reader/named-reader.ts";
import type { SubscribeOptions } from "./reader/subscribe-options.ts";
import { Subscription } from "./reader/subscription.ts";
import type { AggregateState } from "./state/aggregate-state.ts";
import { AggregateReader } from "./state/read-aggregate.ts";
import { CommitWriter } from "./strong/commit-writer.ts";
import { encodeCommit, isStrongEvent, refuseStrongBatch } from "./strong/encode-commit.ts";
import { findCommit } from "./strong/find-commit.ts";
import type { Stored } from "./write-outcome.ts";

export {
  AppendCancelled,
  ClientBusy,
  ClientClosed,
  ClientTooOld,
  EventRejected,
  type NodeCondition,
  NodeTooOld,
  OutboxFull,
  StoreUnavailable,
  VersionConflict,
} from "./append-errors.ts";
export type { Appended, AppendOptions, CimClient, ConnectCimOptions } from "./cim-client.ts";
export { CommandFailed, CommandRefused, CommandUnanswered } from "./commands/command-errors.ts";
export type {
  CommandHandler,
  HandleOptions,
  Handling,
  ReceivedCommand,
} from "./commands/handle-commands.ts";
export type { CommandAnswer, CommandOptions, CommandToSend } from "./commands/send-command.ts";
export type { EventToAppend } from "./event-to-append.ts";
export type { FindOptions, Found } from "./find-event.ts";
export * from "./reader/reader-api.ts";
export { type AggregateState, type StateSibling, StateUnavailable } from "./state/aggregate-state.ts";
export { HubUnavailable } from "./strong/hub-unavailable.ts";

const DEFAULT_URL = "nats://127.0.0.1:4222";
const DEFAULT_TIMEOUT_MS = 5_000;
const DEFAULT_MAX_QUEUED_BYTES = 64 * 1024 * 1024;
const DEFAULT_MAX_QUEUED_EVENTS = 65_536;
/** The longest that a timer counts: 49 days. */
const MAX_TIMER_MS = 2 ** 32 - 1;

/**
 * Connects to a node's own nats-server.
 *
 * @example
 * ```ts
 * import { connectCim } from "cim";
 *
 * await using cim = await connectCim({ url: process.env.CIM_NATS_URL ?? "nats://127.0.0.1:4222" });
 *
 * const created = await cim.append({
 *   domain: "person",
 *   aggregate: "ada",
 *   type: "PersonCreated",
 *   data: { name: "Ada" },
 * });
 * const [moved, renamed] = await cim.appendBatch([
 *   // Only if nothing else was written to ada on this node since: otherwise VersionConflict, and nothing is stored.
 *   { domain: "person", aggregate: "ada", type: "PersonMoved", data: { to: "London" }, causedBy: created, expect: created },
 *   { domain: "person", aggregate: "ada", type: "PersonRenamed", data: { name: "Ada Lovelace" }, causedBy: created },
 * ]);
 * console.log(`${cim.node} has them at ${created.seq}, ${moved?.seq} and ${renamed?.seq}`);
 *
 * const { value, version } = await cim.state<{ name: string }>("person", "ada");
 * // Stands in the place of all that is in that state, on every node.
 * await cim.append({ domain: "person", aggregate: "ada", type: "PersonRenamed", data: { name: "Ada King" }, seen: version });
 * console.log(`was ${value?.name}`);
 * ```
 *
 * @throws {TypeError} the url is none
 * @throws {NatsUnreachable} no server there within ten seconds, or it refuses the user
 * @throws {SeedFileError} {PasswordFileError} the file of the user's secret can't be used
 * @throws {ClientTooOld} the node speaks a newer protocol than this client
 * @throws {NodeTooOld} the node speaks an older one than this client needs
 * @throws {StoreUnavailable} the server has no outbox: no agent or coordinator has run on it
 */
export async function connectCim(options: ConnectCimOptions = {}): Promise<CimClient> {
  const { url = DEFAULT_URL, name = "cim client", timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const { seed, seedFile, user, passwordFile, pass } = options;
  checkNodeVersion();
  checkServerUrl(url);
  const nc = await connectNats({
    url,
    name,
    ...(seed !== undefined && { seed }),
    ...(seedFile !== undefined && { seedFile }),
    ...(user !== undefined && { user }),
    ...(passwordFile !== undefined && { passwordFile }),
    ...(pass !== undefined && { pass }),
  });
  try {
    const node = nc.info?.server_name ?? url;
    const limits = await outboxLimits(nc, node, timeoutMs);
    const watch = new ConnectionWatch(nc);
    const writer = new OutboxWriter({ nc, node, url, timeoutMs, watch });
    const queue = new AppendQueue({
      write: (group) => writer.write(group),
      limits: {
        bytes: options.maxQueuedBytes ?? DEFAULT_MAX_QUEUED_BYTES,
        events: options.maxQueuedEvents ?? DEFAULT_MAX_QUEUED_EVENTS,
      },
    });
    return new ConnectedClient({
      nc,
      node,
      limits: new KeptLimits(limits, () => outboxLimits(nc, node, timeoutMs)),
      queue,
      commits: new CommitWriter({ nc, node, watch, timeoutMs, limits: queue.limits }),
      clock: new AppendClock(node, options.nowMs),
      states: new AggregateReader(nc, node, timeoutMs),
    });
  } catch (error) {
    await nc.close();
    throw error;
  }
}

interface ClientParts {
  readonly nc: NatsConnection;
  readonly node: string;
  readonly limits: KeptLimits;
  readonly queue: AppendQueue;
  readonly commits: CommitWriter;
  readonly clock: AppendClock;
  readonly states: AggregateReader;
}

class ConnectedClient implements CimClient {
  readonly node: string;
  readonly #nc: NatsConnection;
  readonly #limits: KeptLimits;
  readonly #queue: AppendQueue;
  readonly #commits: CommitWriter;
  readonly #stamp: (seen: string | undefined) => string;
  readonly #states: AggregateReader;
  #closing: Promise<void> | undefined;
  #routes: KeptRoutes | undefined;

  constructor({ nc, node, limits, queue, commits, clock, states }: ClientParts) {
    this.#nc = nc;
    this.node = node;
    this.#limits = limits;
    this.#queue = queue;
    this.#commits = commits;
    this.#stamp = (seen) => clock.stamp(seen);
    this.#states = states;
  }

  async append(event: EventToAppend, options?: AppendOptions): Promise<Appended> {
    const [appended] = await this.#append([event], options);
    return appended as Appended;
  }

  async room(): Promise<void> {
    await this.#queue.room();
  }

  async find(eventId: string, options: FindOptions = {}): Promise<Found> {
    if (this.#closing !== undefined) throw new ClientClosed();
    const { domain } = options;
    if (domain !== undefined && isStrongEvent({ domain }, this.#limits.latest))
      return await findCommit(this.#nc, this.node, eventId, options);
    return await findEvent(this.#nc, this.node, eventId, options);
  }

  async state<T>(domain: string, aggregate: string): Promise<AggregateState<T>> {
    if (this.#closing !== undefined) throw new ClientClosed();
    return (await this.#states.read(domain, aggregate)) as AggregateState<T>;
  }

  subscribe(options: GroupReaderOptions): GroupReader;
  subscribe(options: NamedReaderOptions): NamedReader;
  subscribe(options: SubscribeOptions): Subscription;
  subscribe(
    options: SubscribeOptions | NamedReaderOptions | GroupReaderOptions,
  ): Subscription | NamedReader | GroupReader {
    if (this.#closing !== undefined) throw new ClientClosed();
    if ("group" in options) return new GroupReader(this.#nc, this.node, options);
    if ("durable" in options) return new NamedReader(this.#nc, this.node, options);
    return new Subscription(this.#nc, this.node, options);
  }

  async command(command: CommandToSend, options?: CommandOptions): Promise<CommandAnswer> {
    if (this.#closing !== undefined) throw new ClientClosed();
    if (options?.route === "kept") this.#routes ??= new KeptRoutes(this.#nc, this.node);
    return await sendCommand(
      this.#nc,
      command,
      options,
      options?.route === "kept" ? this.#routes : undefined,
    );
  }

  handle(domain: string, command: string, handler: CommandHandler, options?: HandleOptions): Handling {
    if (this.#closing !== undefined) throw new ClientClosed();
    return handleCommands(this.#nc, this.node, domain, command, handler, options);
  }

  async appendBatch(events: readonly EventToAppend[], options?: AppendOptions): Promise<Appended[]> {
    if (!Array.isArray(events)) {
      const message = `events: ${JSON.stringify(events)} is no list of events; write [{ domain, type }]`;
      throw new EventRejected("events", message);
    }
    if (events.length > MAX_BATCH_MESSAGES) {
      const limit = { name: "events of one batch", max: MAX_BATCH_MESSAGES, actual: events.length };
      const message = `events: ${events.length} are more than the ${MAX_BATCH_MESSAGES} that are stored as one; append them in several batches`;
      throw new EventRejected("events", message, { limit });
    }
    return events.length === 0 ? [] : await this.#append(events, options);
  }

  close(): Promise<void> {
    this.#closing ??= Promise.all([this.#queue.idle(), this.#commits.idle()]).then(() => {
      this.#routes?.close();
      return this.#nc.close();
    });
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #append(events: readonly EventToAppend[], options?: AppendOptions): Promise<Appended[]> {
    if (this.#closing !== undefined) throw new ClientClosed();
    checkAreEvents(events);
    const limits = this.#limits.latest;
    refuseStrongBatch(events, limits);
    const [first] = events;
    if (first && isStrongEvent(first, limits)) return [await this.#commit(first, limits, options)];
    const encoded = events.map((event) => encodeEvent(event, limits, this.#stamp));
    checkBatchBytes(encoded);
    checkExpectations(encoded);
    const stored = await this.#queue.append(encoded, signalOf(options));
    const { node } = this;
    return encoded.map(({ identity }, at) => ({ ...identity, node, ...(stored[at] as Stored) }));
  }

  async #commit(event: EventToAppend, limits: AppendLimits, options?: AppendOptions): Promise<Appended> {
    const encoded = encodeCommit(event, limits, this.#stamp);
    const { version, duplicate } = await this.#commits.commit(encoded, signalOf(options));
    const { node } = this;
    return { ...encoded.identity, node, seq: version, version, ...(duplicate && { duplicate }) };
  }
}

function signalOf(options: AppendOptions | undefined): AbortSignal | undefined {
  if (options?.timeoutMs === undefined) return options?.signal;
  const { timeoutMs } = options;
  if (!Number.isFinite(timeoutMs) || timeoutMs < 0 || timeoutMs > MAX_TIMER_MS)
    throw new TypeError(`timeoutMs: ${timeoutMs} is no time to wait; write milliseconds, as 2000`);
  const timer = AbortSignal.timeout(Math.ceil(timeoutMs));
  return options.signal ? AbortSignal.any([options.signal, timer]) : timer;
}
