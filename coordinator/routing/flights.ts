import type { Attempt } from "./attempt.ts";

/** A command as it came, with what of it the routing goes by. */
export interface RoutedCommand {
  /** The node whose program sent it. */
  readonly caller: string;
  readonly domain: string;
  readonly command: string;
  /** Where the answer goes; undefined: nobody waits for one. */
  readonly inbox: string | undefined;
  readonly body: Uint8Array;
  readonly headerText: string;
  /** Another leaf may do it should the one that has it go. */
  readonly mayRepeat: boolean;
}

/** A command that was sent to a leaf and is not answered yet. */
export interface Flight {
  /** `<caller>.<inbox>`: what its answer is known by. */
  readonly key: string;
  readonly node: string;
  readonly sentMs: number;
  readonly command: RoutedCommand;
  readonly attempt: Attempt;
  /** What the leaf was given as the reply subject. */
  readonly reply: string;
}

/** Its answer does not leave the leaf: the handler says when it is done. */
export const isWithinLeaf = ({ node, command }: Flight): boolean => node === command.caller;

/** The commands under way, by answer and by leaf. The oldest are forgotten when there are too many, or too many bytes. */
export class Flights {
  readonly #most: number;
  readonly #mostBytes: number;
  #bytes = 0;
  readonly #byKey = new Map<string, Flight>();
  readonly #byNode = new Map<string, Map<string, Flight>>();

  constructor({ most, mostBytes }: { readonly most: number; readonly mostBytes: number }) {
    this.#most = most;
    this.#mostBytes = mostBytes;
  }

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): Flight | undefined {
    return this.#byKey.get(key);
  }

  countAt(node: string): number {
    return this.#byNode.get(node)?.size ?? 0;
  }

  add(flight: Flight): void {
    this.end(flight.key);
    this.#byKey.set(flight.key, flight);
    this.#bytes += flight.command.body.byteLength;
    let here = this.#byNode.get(flight.node);
    if (here === undefined) {
      here = new Map();
      this.#byNode.set(flight.node, here);
    }
    here.set(flight.key, flight);
    while (this.#byKey.size > this.#most || (this.#bytes > this.#mostBytes && this.#byKey.size > 1)) {
      const [oldest] = this.#byKey.keys();
      if (oldest === undefined) break;
      this.end(oldest);
    }
  }

  /** It is answered, or not waited for any more. */
  end(key: string): Flight | undefined {
    const flight = this.#byKey.get(key);
    if (flight === undefined) return undefined;
    this.#byKey.delete(key);
    this.#bytes -= flight.command.body.byteLength;
    const here = this.#byNode.get(flight.node);
    here?.delete(key);
    if (here?.size === 0) this.#byNode.delete(flight.node);
    return flight;
  }

  /** Those at a leaf. */
  at(node: string): Flight[] {
    return [...(this.#byNode.get(node)?.values() ?? [])];
  }

  /** Ends those at a leaf. */
  endAt(node: string): Flight[] {
    const here = this.at(node);
    for (const { key } of here) this.end(key);
    return here;
  }

  /** Ends those sent before then. */
  endBefore(sentMs: number): Flight[] {
    const old: Flight[] = [];
    // In the order in which they were sent.
    for (const flight of this.#byKey.values()) {
      if (flight.sentMs >= sentMs) break;
      old.push(flight);
    }
    for (const { key } of old) this.end(key);
    return old;
  }
}
