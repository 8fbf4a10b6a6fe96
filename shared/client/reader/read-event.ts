import type { StoredMessage } from "../../protocol/event.ts";
import { headerEntries, headerValue } from "../../protocol/headers.ts";
import { eventId } from "../../protocol/identity.ts";
import { loggedEvent } from "../../protocol/logged-event.ts";
import { HEADER } from "../../protocol/names.ts";
import type { Lane } from "../../protocol/origin.ts";
import { parseLogPosition } from "../../protocol/reign.ts";
import { type EventAddress, parseEventSubject } from "../../protocol/subjects.ts";
import { encodeCheckpoint, type Standing } from "./checkpoint.ts";

export interface EventOrigin {
  /** The node it was written on. */
  readonly node: string;
  /** The incarnation of that node's outbox; undefined of an own event that has not been in the log. */
  readonly incarnation: number | undefined;
  /** `c`: it was committed to a strong domain, and is in no outbox. Undefined of an own event that has not been in the log. */
  readonly lane?: Lane;
  /** Its sequence in that outbox; of a commit its index in the log. */
  readonly seq: number;
}

/** `undefined` is left out by `JSON.stringify`. */
export interface EventJson {
  readonly id: string;
  readonly domain: string;
  readonly aggregate: string | undefined;
  readonly type: string;
  /** ISO 8601. */
  readonly time: string;
  readonly correlationId: string;
  readonly causationId: string;
  readonly origin: EventOrigin;
  readonly position: string | undefined;
  readonly data?: unknown;
  readonly data_base64?: string;
}

/** An event as a reader gets it. Fits as `causedBy` of the next one. What costs is worked out when it is asked for. */
export class CimEvent {
  readonly #message: StoredMessage;
  readonly #node: string;
  readonly #standing: Standing;
  readonly #address: EventAddress;
  #origin: EventOrigin | undefined;
  #id: string | undefined;

  static {
    // Everything is behind getters: without this, `console.log(event)` shows an empty object.
    Object.defineProperty(CimEvent.prototype, Symbol.for("nodejs.util.inspect.custom"), {
      value(this: CimEvent) {
        const { data_base64: _, ...said } = this.toJSON();
        return { ...said, time: this.time, data: shown(this.data) };
      },
    });
  }

  constructor(message: StoredMessage, node: string, standing: Standing) {
    this.#message = message;
    this.#node = node;
    this.#standing = standing;
    this.#address = parseEventSubject(message.subject) ?? { domain: "", type: "" };
  }

  get id(): string {
    this.#id ??=
      headerValue(this.#message.headerText, HEADER.id) ??
      eventId(
        { node: this.#node, seq: this.#message.seq },
        this.#message.timeUs,
        this.#message.headerText,
        this.#message.body,
      );
    return this.#id;
  }
  get domain(): string {
    return this.#address.domain;
  }
  /** undefined in the short form of subjects. */
  get aggregate(): string | undefined {
    return this.#address.aggregate;
  }
  get type(): string {
    return this.#address.type;
  }
  /** Its own id on a root event, as the causation. */
  get correlationId(): string {
    return headerValue(this.#message.headerText, HEADER.correlation) ?? this.id;
  }
  get causationId(): string {
    return headerValue(this.#message.headerText, HEADER.causation) ?? this.id;
  }
  get origin(): EventOrigin {
    this.#origin ??= loggedEvent(this.#message)?.origin ?? {
      node: this.#node,
      incarnation: undefined,
      seq: this.#message.seq,
    };
    return this.#origin;
  }
  /** When its origin stored it, by that node's clock. */
  get time(): Date {
    const logged = Number(headerValue(this.#message.headerText, HEADER.time)?.split(" ")[0]);
    return new Date((logged || this.#message.timeUs) / 1000);
  }
  /** `<epoch>-<reign>.<index>`; undefined while it is only in the outbox. */
  get position(): string | undefined {
    return headerValue(this.#message.headerText, HEADER.log);
  }
  /** In a strong domain: what its aggregate is at, while this is its newest event. Undefined while it is only in the outbox. */
  get version(): number | undefined {
    return parseLogPosition(this.position)?.index;
  }
  get data(): Uint8Array {
    return this.#message.body;
  }
  /** @throws SyntaxError the body is not JSON */
  json<T = unknown>(): T {
    return JSON.parse(Buffer.from(this.#message.body).toString("utf8")) as T;
  }
  /** All headers, in order. */
  get headers(): [string, string][] {
    return headerEntries(this.#message.headerText);
  }
  /**
   * Reading goes on behind this event when it is given as `from`. Opaque; keep it in the transaction that handles the
   * event, and each event is handled once.
   */
  get checkpoint(): string {
    return encodeCheckpoint(this.#standing);
  }
  /** What it says, for `JSON.stringify`: `data` where the body is JSON, else `data_base64`, as in CloudEvents. */
  toJSON(): EventJson {
    const { id, domain, aggregate, type, correlationId, causationId, origin, position } = this;
    const data = shown(this.data);
    return {
      id,
      domain,
      aggregate,
      type,
      time: this.time.toISOString(),
      correlationId,
      causationId,
      origin,
      position,
      ...(data === this.data ? { data_base64: Buffer.from(this.data).toString("base64") } : { data }),
    };
  }
}

/** JSON as what it says, other bodies as their bytes. */
function shown(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString("utf8"));
  } catch {
    return body;
  }
}
