import type { CommandHandler, HandleOptions, Handling } from "./commands/handle-commands.ts";
import type { CommandAnswer, CommandOptions, CommandToSend } from "./commands/send-command.ts";
import type { EventToAppend } from "./event-to-append.ts";
import type { FindOptions, Found } from "./find-event.ts";
import type { GroupReaderOptions } from "./reader/group-options.ts";
import type { GroupReader } from "./reader/group-reader.ts";
import type { NamedReader, NamedReaderOptions } from "./reader/named-reader.ts";
import type { SubscribeOptions } from "./reader/subscribe-options.ts";
import type { Subscription } from "./reader/subscription.ts";
import type { AggregateState } from "./state/aggregate-state.ts";

export interface ConnectCimOptions {
  /** The node's own nats-server, as `nats://127.0.0.1:4222` (the default): writing needs no link to anywhere. */
  readonly url?: string;
  /** Shown in the server's list of connections. Default `cim client`. */
  readonly name?: string;
  /** A user's nkey seed, or the file it is in; without either, as a client without credentials. */
  readonly seed?: string;
  readonly seedFile?: string;
  /** A user with a password: the file it is in, or the password itself. */
  readonly user?: string;
  readonly passwordFile?: string;
  readonly pass?: string;
  /**
   * How long, in ms, a write may go without the server's answer before it fails with `StoreUnavailable`, and how long a
   * lost connection is waited for. Default 5,000: a slow disk's sync may take seconds.
   */
  readonly timeoutMs?: number;
  /**
   * What may wait to be written, what is on its way included: bytes as they are sent, and events. What does not fit is
   * refused with `ClientBusy`; `room` waits until there is some. Default 64 MiB, and 65,536 events.
   */
  readonly maxQueuedBytes?: number;
  readonly maxQueuedEvents?: number;
  /** The clock on the wall that events are stamped by (`Cim-Clock`), ms since the epoch. Default `Date.now`; for tests. */
  readonly nowMs?: () => number;
}

/** Bounds of one call. Both together: whichever comes first ends it, with `AppendCancelled`. */
export interface AppendOptions {
  readonly signal?: AbortSignal;
  /** Includes the wait in the queue; the connection's `timeoutMs` bounds the write itself in any case. */
  readonly timeoutMs?: number;
}

/** An event that is on the node's disk, synced. Fits as `causedBy` of the next one, and as what that one may `expect`. */
export interface Appended {
  readonly id: string;
  readonly correlationId: string;
  /** Its own id on a root event. */
  readonly causationId: string;
  /** The node whose outbox has it; of a strong domain the node that committed it. */
  readonly node: string;
  /** Its sequence in the node's outbox: local to this node. Of a strong domain the same as `version`. */
  readonly seq: number;
  /** Of a strong domain: the version that its aggregate is at with it, on every node. It is stored by the hub then. */
  readonly version?: number;
  /** The outbox had an event of this id already, at `seq`; nothing new was stored. */
  readonly duplicate?: true;
}

/** A connection to the node one writes on. */
export interface CimClient extends AsyncDisposable {
  /** The node's name. */
  readonly node: string;
  /**
   * Appends an event to the node's outbox; resolves when it is synced there. Works the same whether the node's link is
   * up or not. Calls that overlap share one sync (group commit) and are stored in the order they were made, but for one that
   * expects a version for which a call before it, made at the same time, was refused; each has its own result.
   *
   * An event of a strong domain is committed by the hub, past all queues, and needs the link: each by itself, judged by the
   * version that its aggregate is at there. No batches.
   *
   * @throws {EventRejected} the event can't be stored as it is
   * @throws {ClientBusy} too much waits already; nothing was stored
   * @throws {OutboxFull} there is no room; nothing was stored
   * @throws {StoreUnavailable} no answer, or no connection; says whether it may have been stored, and why where known
   * @throws {VersionConflict} the aggregate is not at the version that was expected; nothing was stored
   * @throws {HubUnavailable} of a strong domain: the hub could not be asked; said at once while the link is down
   * @throws {AppendCancelled} the signal or the call's own time ended it; says whether it had been sent
   * @throws {ClientClosed}
   */
  append(event: EventToAppend, options?: AppendOptions): Promise<Appended>;
  /**
   * Appends up to 1,000 events as one: all are stored, next to each other and in this order, or none. Only when an id
   * among them was appended before are they stored one by one, so that repeating a batch gives what is there.
   *
   * @throws as `append`
   */
  appendBatch(events: readonly EventToAppend[], options?: AppendOptions): Promise<Appended[]>;
  /**
   * Back-pressure for who does not wait for each append: resolves when half of what may wait is free, at once where it is.
   *
   * ```ts
   * for await (const event of source) {
   *   await cim.room();
   *   appends.push(cim.append(event));
   * }
   * ```
   */
  room(): Promise<void>;
  /**
   * Finds out whether an event was written, after `outcome: "unknown"`: searches the outbox, then what was trimmed of it in
   * the log or copy, for its id. Name the event's domain and aggregate, or it reads everything. Works
   * at any time, while appending again with the same id finds it for two minutes only. "Not found" is up to what the outbox
   * had when it was asked: bytes that a paused server still holds may arrive later.
   */
  find(eventId: string, options?: FindOptions): Promise<Found>;
  /**
   * What the events of an aggregate come to, by the resolver that its domain is declared with (`contracts`), as this node knows
   * it now: its own events at once, others' as they come into its log or copy. What builds on it says so:
   *
   * ```ts
   * const { value, version } = await cim.state<{ price: number }>("goods", "7");
   * await cim.append({ domain: "goods", aggregate: "7", type: "Repriced", data: { price: (value?.price ?? 0) + 1 }, seen: version });
   * ```
   *
   * @throws {StateUnavailable} it can't be told here; the message says why
   */
  state<T = unknown>(domain: string, aggregate: string): Promise<AggregateState<T>>;
  /**
   * As one of a group of processes under one durable name: each aggregate's events go to one of them at a time, in order.
   * Processes come and go; what was not saved when a partition moves comes again, to the one that has it then. A process that is
   * gone is found out by `group.leaseMs`; one that was paused can save nothing of what has moved: `ReaderTaken`, on which its loop
   * may go on with the rest. Each partition reads all that the group reads, so choose few: as many as processes at most times.
   *
   * @throws {TypeError} at once; the loop throws also {ReaderDiffers}, {StoreUnavailable}, and {ReaderTaken} when it is removed
   */
  subscribe(options: GroupReaderOptions): GroupReader;
  /**
   * Reads events as `subscribe({ from })` does, under a durable name: the node keeps the checkpoint in `CIM_READERS`, and the next loop under this name, in this
   * process or another, goes on from it. Say what is handled with `await reader.save(event)`: every event is handled at least
   * once, and what was not saved comes again. Who begins under a name takes it over; the other one gets `ReaderTaken`.
   *
   * @throws {TypeError} at once; the loop throws also {ReaderTaken}, {ReaderDiffers} and {StoreUnavailable}
   */
  subscribe(options: NamedReaderOptions): NamedReader;
  /**
   * Reads events, each once: this node's own at once, others' as they come into its log or copy. Read it with `for await`; it
   * lives over restarts of the server. Every event has a `checkpoint` to go on from, here or on another node.
   * Also to and from copies that have some domains, or had one filled in: of a domain that was not there, reading goes on
   * where it was begun.
   * Own events that were trimmed unread and that the copy may not have: `EventsGone`.
   *
   * @throws {CheckpointInvalid} at once; the loop throws {ReaderAhead} and {EventsGone}
   */
  subscribe(options: SubscribeOptions): Subscription;
  /**
   * Sends a command to the leaf that fits it best, from any node, and gives its answer. The coordinator chooses the leaf; the
   * answer does not go through it.
   *
   * @throws {CommandRefused} no leaf does it, said at once; it was not done
   * @throws {CommandFailed} the handler threw
   * @throws {CommandUnanswered} the leaf went away with it, or no answer in time; whether it was done is not known
   * @throws {ClientClosed}
   */
  command(command: CommandToSend, options?: CommandOptions): Promise<CommandAnswer>;
  /**
   * Handles the commands of a kind that are routed to this node. Programs on one node share them. A repeated id is answered
   * from the node's memory, ten minutes long (`HandleOptions.memory`); what must hold longer, make part of what is appended.
   *
   * ```ts
   * await using handling = cim.handle("orders", "PlaceOrder", async ({ id, data }) => {
   *   return await cim.append({ ...(id && { id }), domain: "orders", aggregate: "7", type: "OrderPlaced", data });
   * });
   * ```
   */
  handle(domain: string, command: string, handler: CommandHandler, options?: HandleOptions): Handling;
  /** Waits for what was appended, then closes the connection. */
  close(): Promise<void>;
}
