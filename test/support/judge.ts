import type { Stored, StreamState } from "./checker-read.ts";
import type { Acknowledged } from "./ledger.ts";

/** What a fault of a fleet is called: what is promised is that there are none. */
export type FindingKind =
  /** Acknowledged, and not in the log. */
  | "lost"
  | "doubled"
  /** Not in its origin's order. */
  | "order"
  /** Another subject, body or sequence than the writer's. */
  | "changed"
  /** In the log, and nobody wrote it. */
  | "foreign"
  /** The log's own numbers do not follow each other. */
  | "log"
  | "copy"
  | "reader"
  /** A stream gives fewer messages than it says it has. */
  | "unreadable";

export interface Finding {
  readonly kind: FindingKind;
  readonly text: string;
}

export interface Allowances {
  /** Ids of acknowledged events that an operator gave up, as a hole that nobody can fill. */
  readonly lost?: ReadonlySet<string>;
  /** Ids of acknowledged events that the log refused: kept at their origin, in nobody's log. */
  readonly refused?: ReadonlySet<string>;
  /** Events that were never acknowledged but may be there. */
  readonly unacknowledged?: (event: Stored) => boolean;
  /** The log was purged: it need not begin at 1, and copies may have more. What went is in `lost`. */
  readonly purged?: boolean;
}

/** What a copy should hold of the log. */
export interface CopyShape {
  /** `*`: everything. */
  readonly domains: readonly string[];
  /** A domain was filled in later, so that the log's order holds within each domain only. */
  readonly filledIn?: boolean;
}

/** What a reader handled, in its order. */
export interface Handled {
  readonly node: string;
  readonly id: string;
}

const COPY_RECORD = "cim.events._cim.copy";
const CONTROL_DOMAIN = "_cim";
const domainOf = (subject: string): string => subject.split(".")[2] ?? "";
const isControl = (message: Stored): boolean => domainOf(message.subject) === CONTROL_DOMAIN;

/**
 * Judges what a fleet holds by what its writers were told. It is shown every message once, so that it can judge more
 * than fits into memory: the whole log first, then acknowledgements, outboxes, copies and readers in any order.
 */
export class Judge {
  readonly findings: Finding[] = [];
  readonly #allow: Allowances;
  readonly #log: Stored[] = [];
  /** By `<node> <id>`. */
  readonly #byId = new Map<string, Stored>();
  /** By `<node> <sequence>`; an origin has several incarnations where its outbox was replaced. */
  readonly #bySequence = new Map<string, Stored | Stored[]>();
  readonly #lanes = new Map<string, { incarnation: number; seq: number }>();
  readonly #acknowledged = new Set<Stored>();
  readonly #order = new Map<string, { n: number; seq: number }>();
  /** Of the whole log, by print: made once for all copies of everything. */
  #places: ReadonlyMap<string, number> | undefined;

  constructor(allow: Allowances = {}) {
    this.#allow = allow;
  }

  /** How many events the log has; control records are none. */
  get events(): number {
    return this.#log.reduce((events, message) => events + (isControl(message) ? 0 : 1), 0);
  }

  /** A damaged store gives fewer messages than it says it has, without an error. */
  stream(what: string, read: number, { said }: Pick<StreamState, "said">): void {
    if (read !== said) this.#find("unreadable", `${what}: ${read} messages read, it says it has ${said}`);
  }

  /** Shown all of the log, in the stream's order. An origin's events are there once, and in the origin's order. */
  log(message: Stored): void {
    const before = this.#log.at(-1);
    this.#places = undefined;
    this.#log.push(message);
    const { origin, id, log: position } = message;
    if (!position) this.#find("log", `log: message ${message.streamSeq} has no place in the log`);
    else {
      const last = before ? before.log?.index : this.#allow.purged ? undefined : 0;
      if (last !== undefined && position.index !== last + 1)
        this.#find("log", `log: index ${position.index} stands after ${last}`);
    }
    if (!origin) return;
    const { node, incarnation, seq } = origin;
    const lane = this.#lanes.get(node);
    if (lane && (incarnation < lane.incarnation || (incarnation === lane.incarnation && seq <= lane.seq)))
      this.#find(
        incarnation === lane.incarnation && seq === lane.seq ? "doubled" : "order",
        `log: ${node} ${incarnation}/${seq} stands after ${lane.incarnation}/${lane.seq} at ${position?.index}`,
      );
    this.#lanes.set(node, { incarnation, seq });
    const first = this.#byId.get(`${node} ${id}`);
    if (first)
      this.#find(
        "doubled",
        `log: ${node}'s event ${id} is there twice, at ${first.log?.index} and ${position?.index}`,
      );
    this.#byId.set(`${node} ${id}`, message);
    const key = `${node} ${seq}`;
    const others = this.#bySequence.get(key);
    this.#bySequence.set(key, others ? [others, message].flat() : message);
  }

  /** What a writer was told is stored is in the log, unchanged, in the order in which it was told. */
  acknowledged({ node, id, seq, subject, body, n, tries }: Acknowledged): void {
    const key = id ?? `${node} ${seq}`;
    const given = this.#allow.lost?.has(key) || this.#allow.refused?.has(key);
    const event = id === null ? this.#ofSequence(node, seq)[0] : this.#byId.get(`${node} ${id}`);
    if (!event) {
      if (!given)
        this.#find("lost", `log: ${node}'s acknowledged event ${seq} (${id ?? "no id"}) is missing`);
      return;
    }
    if (this.#acknowledged.has(event) && n !== undefined)
      this.#find("foreign", `ledger of ${node}: event ${key} is acknowledged twice`);
    this.#acknowledged.add(event);
    if (given) this.#find("foreign", `log: ${node}'s event ${key} is there, though it was given up`);
    if (event.origin?.seq !== seq)
      this.#find(
        "changed",
        `log: ${node}'s event ${key} says sequence ${event.origin?.seq}, the writer was told ${seq}`,
      );
    if (event.subject !== subject || event.body !== body)
      this.#find("changed", `log: ${node}'s event ${key} is not what was written`);
    // What had to be sent again may stand behind what was written after it.
    if (n === undefined || tries !== 1) return;
    const before = this.#order.get(node);
    if (before && n > before.n !== seq > before.seq)
      this.#find(
        "order",
        `log: ${node}'s events ${before.n} and ${n} were stored as ${before.seq} and ${seq}`,
      );
    this.#order.set(node, { n, seq });
  }

  /** Whatever an outbox holds is in the log. */
  outbox(node: string, { streamSeq, subject, body, id }: Stored): void {
    const logged = this.#ofSequence(node, streamSeq);
    if (logged.some((event) => event.subject === subject && event.body === body)) return;
    if (this.#allow.lost?.has(id) || this.#allow.refused?.has(id)) return;
    this.#find("lost", `log: event ${streamSeq} (${id}) of ${node}'s outbox is missing`);
  }

  /** Shown all of a copy; a copy is the log, or what it holds of it, in the same order and with the same metadata. */
  copy(node: string, shape: CopyShape): CopyJudge {
    const firstIndex = this.#log[0]?.log?.index ?? 0;
    const passedOver = ({ subject, log }: Stored) =>
      subject === COPY_RECORD || (this.#allow.purged === true && (log?.index ?? 0) < firstIndex);
    const find = (text: string) => this.#find("copy", text);
    if (shape.domains.includes("*")) {
      this.#places ??= placesOf(this.#log);
      return new CopyJudge(node, this.#log, this.#places, shape.filledIn ?? false, passedOver, find);
    }
    const holds = (domain: string) => domain === CONTROL_DOMAIN || shape.domains.includes(domain);
    const expected = this.#log.filter(({ subject }) => holds(domainOf(subject)));
    return new CopyJudge(node, expected, placesOf(expected), shape.filledIn ?? false, passedOver, find);
  }

  /** Shown all that a reader handled: each event once, an origin's in its order. */
  reader(node: string): ReaderJudge {
    const events = this.#log.filter((message) => !isControl(message)).length;
    return new ReaderJudge(
      node,
      events,
      ({ node: origin, id }) => this.#byId.get(`${origin} ${id}`),
      (text) => this.#find("reader", text),
    );
  }

  /** After all acknowledgements were shown: nothing is in the log that nobody wrote. */
  foreign(): void {
    for (const event of this.#log) {
      if (isControl(event) || this.#acknowledged.has(event) || this.#allow.unacknowledged?.(event)) continue;
      const { node, seq } = event.origin ?? {};
      this.#find(
        "foreign",
        `log: event ${node}/${seq} (${event.id}) at ${event.log?.index} was never written by anybody`,
      );
    }
  }

  #ofSequence(node: string, seq: number): readonly Stored[] {
    const found = this.#bySequence.get(`${node} ${seq}`);
    return found ? [found].flat() : [];
  }

  #find(kind: FindingKind, text: string): void {
    this.findings.push({ kind, text });
  }
}

export class CopyJudge {
  readonly #what: string;
  readonly #expected: readonly Stored[];
  readonly #byDomain: boolean;
  readonly #passedOver: (message: Stored) => boolean;
  readonly #find: (text: string) => void;
  readonly #places: ReadonlyMap<string, number>;
  /** By place: whether the copy has it. */
  readonly #seen: Uint8Array;
  #seenCount = 0;
  readonly #last = new Map<string, number>();
  #foreign = 0;
  #firstForeign: Stored | undefined;
  #doubled = 0;
  #disorder: { readonly found: Stored; readonly after: number } | undefined;

  constructor(
    node: string,
    expected: readonly Stored[],
    places: ReadonlyMap<string, number>,
    byDomain: boolean,
    passedOver: (message: Stored) => boolean,
    find: (text: string) => void,
  ) {
    this.#what = `copy of ${node}`;
    this.#expected = expected;
    this.#byDomain = byDomain;
    this.#passedOver = passedOver;
    this.#find = find;
    this.#places = places;
    this.#seen = new Uint8Array(expected.length);
  }

  see(message: Stored): void {
    if (this.#passedOver(message)) return;
    const place = this.#places.get(message.print);
    if (place === undefined) {
      this.#foreign++;
      this.#firstForeign ??= message;
      return;
    }
    if (this.#seen[place]) {
      this.#doubled++;
      return;
    }
    this.#seen[place] = 1;
    this.#seenCount++;
    const order = this.#byDomain ? domainOf(message.subject) : "";
    const after = this.#last.get(order) ?? -1;
    if (place < after) this.#disorder ??= { found: message, after };
    this.#last.set(order, place);
  }

  end(): void {
    const missing = this.#expected.length - this.#seenCount;
    if (missing > 0) {
      const first = this.#expected.find((_, place) => !this.#seen[place]);
      this.#find(`${this.#what}: ${missing} missing, first ${first && describe(first)}`);
    }
    if (this.#firstForeign)
      this.#find(`${this.#what}: ${this.#foreign} not in the log, first ${describe(this.#firstForeign)}`);
    if (this.#doubled > 0) this.#find(`${this.#what}: ${this.#doubled} doubled`);
    if (this.#disorder) {
      const { found, after } = this.#disorder;
      const before = this.#expected[after] as Stored;
      this.#find(`${this.#what}: ${describe(found)} stands after ${describe(before)}, in the log before it`);
    }
  }
}

export class ReaderJudge {
  readonly #what: string;
  readonly #events: number;
  readonly #eventOf: (handled: Handled) => Stored | undefined;
  readonly #find: (text: string) => void;
  readonly #seen = new Set<Stored>();
  readonly #last = new Map<string, Stored>();

  constructor(
    node: string,
    events: number,
    eventOf: (handled: Handled) => Stored | undefined,
    find: (text: string) => void,
  ) {
    this.#what = `reader on ${node}`;
    this.#events = events;
    this.#eventOf = eventOf;
    this.#find = find;
  }

  see(handled: Handled): void {
    const event = this.#eventOf(handled);
    const name = `${handled.node}'s event ${handled.id}`;
    if (!event) {
      this.#find(`${this.#what}: handled ${name}, which the log does not have`);
      return;
    }
    if (this.#seen.has(event)) {
      this.#find(`${this.#what}: handled ${name} twice`);
      return;
    }
    this.#seen.add(event);
    const before = this.#last.get(handled.node);
    if (before && (before.log?.index ?? 0) > (event.log?.index ?? 0))
      this.#find(`${this.#what}: handled ${name} after ${before.id}, which its origin wrote later`);
    this.#last.set(handled.node, event);
  }

  end(): void {
    const missing = this.#events - this.#seen.size;
    if (missing > 0) this.#find(`${this.#what}: ${missing} events of the log were never handled`);
  }
}

function placesOf(messages: readonly Stored[]): ReadonlyMap<string, number> {
  return new Map(messages.map(({ print }, place) => [print, place]));
}

function describe({ log, subject, id }: Stored): string {
  return `${log?.reign}.${log?.index} ${subject} ${id}`;
}
