/** What the node's agent says is wrong, at the moment of a failed append. */
export interface NodeCondition {
  /** As `disk-full`, `outbox-full`, `server-down`. */
  readonly code: string;
  readonly severity: string;
  readonly detail: string;
}

/**
 * The node's outbox, or its store, holds as much as it may. Nothing was stored. Appends succeed again by themselves
 * when the hub has taken events over and they were trimmed, or the limit was raised; older events stay.
 */
export class OutboxFull extends Error {
  override readonly name = "OutboxFull";
  readonly node: string;
  /** The ids that the events would have had: appending again with them is the same events. */
  readonly eventIds: readonly string[];

  constructor(node: string, reason: string, eventIds: readonly string[]) {
    super(
      `the outbox of ${node} is full (${reason}): nothing was stored; it takes events again when there is room`,
    );
    this.node = node;
    this.eventIds = eventIds;
  }
}

/** The node's store did not answer, or could not be reached. `conditions` say why, where its agent could be asked. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
  readonly node: string;
  /**
   * `not-stored`: nothing was. `unknown`: it may have been; append again with the same ids within two minutes and what
   * was stored is found again instead of being doubled.
   */
  readonly outcome: "not-stored" | "unknown";
  readonly conditions: readonly NodeCondition[];
  readonly eventIds: readonly string[];

  constructor(
    node: string,
    fault: {
      readonly reason: string;
      readonly outcome: "not-stored" | "unknown";
      readonly conditions?: readonly NodeCondition[];
      readonly eventIds?: readonly string[];
    },
    options?: ErrorOptions,
  ) {
    const conditions = fault.conditions ?? [];
    const why = conditions.map(({ detail }) => ` ${detail}`).join("");
    super(`the store of ${node} is not available: ${fault.reason}.${why}`, options);
    this.node = node;
    this.outcome = fault.outcome;
    this.conditions = conditions;
    this.eventIds = fault.eventIds ?? [];
  }
}

/** More waits in this client than may. Nothing of the call was stored, or sent. */
export class ClientBusy extends Error {
  override readonly name = "ClientBusy";
  /** The option of `connectCim`, what it allows, and what there would be with this call: bytes, or events. */
  readonly limit: { readonly name: string; readonly max: number; readonly actual: number };

  constructor(name: "maxQueuedBytes" | "maxQueuedEvents", max: number, actual: number) {
    const what = name === "maxQueuedBytes" ? "bytes" : "events";
    super(
      `${actual} ${what} would wait to be written, ${name} is ${max}: nothing was stored; wait for room(), or append less at once`,
    );
    this.limit = { name, max, actual };
  }
}

/** The event can't be stored as it is, and was not: change it. The message names the part, the limit and what to write. */
export class EventRejected extends Error {
  override readonly name = "EventRejected";
  /** The part of the event: `domain`, `aggregate`, `type`, `id`, `causedBy`, `data`, `headers`, `expect`, or `events` for a whole batch. */
  readonly part: string;
  /** Where something was too large. */
  readonly limit: { readonly name: string; readonly max: number; readonly actual: number } | undefined;

  constructor(
    part: string,
    message: string,
    options: ErrorOptions & { limit?: EventRejected["limit"] } = {},
  ) {
    super(message, options);
    this.part = part;
    this.limit = options.limit;
  }
}

/**
 * The aggregate's newest event in this node's outbox is another one than expected: somebody else wrote, or it was trimmed
 * and can't be told (`actual` is `"unknown"`: the node keeps no copy of it). Nothing of the call was stored.
 */
export class VersionConflict extends Error {
  override readonly name = "VersionConflict";
  readonly node: string;
  /** `<domain>.<aggregate>`, or `<domain>`. */
  readonly aggregate: string;
  /** The sequence in this node's outbox that was expected. */
  readonly expected: number | "none";
  /** The one that is there. */
  readonly actual: number | "none" | "unknown";
  readonly eventIds: readonly string[];

  constructor(
    node: string,
    conflict: Pick<VersionConflict, "aggregate" | "expected" | "actual" | "eventIds">,
  ) {
    const { aggregate, expected, actual } = conflict;
    super(
      `${aggregate} on ${node} is at ${actual}, not at ${expected}: nothing was stored; read it again and decide again`,
    );
    this.node = node;
    this.aggregate = aggregate;
    this.expected = expected;
    this.actual = actual;
    this.eventIds = conflict.eventIds;
  }
}

/** The caller's signal or time limit ended the call. */
export class AppendCancelled extends Error {
  override readonly name = "AppendCancelled";
  /** `not-stored`: it had not been sent. `unknown`: it had been, and may be stored; `find` tells. */
  readonly outcome: "not-stored" | "unknown";

  constructor(why: string, outcome: "not-stored" | "unknown", options?: ErrorOptions) {
    const what = outcome === "unknown" ? "it had been sent and may be stored" : "nothing was stored";
    super(`the append was given up (${why}): ${what}`, options);
    this.outcome = outcome;
  }
}

/** The node's daemon speaks a newer protocol than this client: upgrade the client. */
export class ClientTooOld extends Error {
  override readonly name = "ClientTooOld";
  readonly node: string;

  constructor(node: string, theirs: number, own: number) {
    super(
      `${node} speaks cim's protocol ${theirs}, this client up to ${own}: upgrade the package cim of this program`,
    );
    this.node = node;
  }
}

/** The node's daemon speaks an older protocol than this client needs: upgrade the node, or use an older client. */
export class NodeTooOld extends Error {
  override readonly name = "NodeTooOld";
  readonly node: string;

  constructor(node: string, theirs: number, needed: number) {
    super(
      `${node} speaks cim's protocol ${theirs}, this client needs ${needed} or newer: upgrade cim-agent (cim-coordinator on a hub) there`,
    );
    this.node = node;
  }
}

/** The client was closed before. */
export class ClientClosed extends Error {
  override readonly name = "ClientClosed";

  constructor() {
    super("this client is closed: connectCim gives a new one");
  }
}
