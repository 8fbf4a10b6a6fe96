import { handles } from "./filters.ts";

/** With more different lists than this, commands are told apart by their names. */
const MOST_LISTS = 64;

/**
 * Which commands are handled by the same leaves: those that are covered by the same ones of the few different lists of
 * handlers that there are in a fleet. Leaves that run the same programs need no list of their own for each command then.
 */
export class HandlerGroups {
  readonly #lists = new Map<string, readonly string[] | null>();
  /** By domain and command. */
  readonly #groups = new Map<string, Map<string, string>>();
  #names = 0;
  #generation = 0;

  /** Raised when groups that were given before are void. */
  get generation(): number {
    return this.#generation;
  }

  /** Takes note of what a node handles. */
  note(handlers: readonly string[] | null): void {
    const list = handlers === null ? "?" : handlers.join(" ");
    if (this.#lists.has(list)) return;
    this.#lists.set(list, handlers);
    this.#forget();
    this.#generation += 1;
  }

  /** Commands of one domain with the same group are handled by the same nodes. */
  groupOf(domain: string, command: string): string {
    if (this.#lists.size > MOST_LISTS) return command;
    const known = this.#groups.get(domain)?.get(command);
    if (known !== undefined) return known;
    let group = "";
    for (const handlers of this.#lists.values()) group += handles(handlers, domain, command) ? "1" : "0";
    // Names come from callers: what they think up must not fill the memory.
    if (this.#names >= 10_000) this.#forget();
    let ofDomain = this.#groups.get(domain);
    if (ofDomain === undefined) {
      ofDomain = new Map();
      this.#groups.set(domain, ofDomain);
    }
    ofDomain.set(command, group);
    this.#names += 1;
    return group;
  }

  #forget(): void {
    this.#groups.clear();
    this.#names = 0;
  }
}
