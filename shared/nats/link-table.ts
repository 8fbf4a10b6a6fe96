/** A leafnode connection as this server has it. */
export interface Link {
  /** The other side's server name, which is its node's name. It is what that side claims. */
  readonly name: string;
  /** The number this server gave to the connection; a new one at each reconnect. */
  readonly cid: number;
  /** The nkey it was let in by; null where this side dialed, or when it is not known. That is what was proved. */
  readonly publicKey: string | null;
  /** Round trip in ms as the server last measured it; null before the first time. */
  readonly rttMs: number | null;
  /** When it came up, or was first seen, in ms since the epoch. */
  readonly sinceMs: number;
}

export type LinkChange =
  | { readonly kind: "up"; readonly link: Link; readonly atMs: number }
  | { readonly kind: "down"; readonly link: Link; readonly atMs: number; readonly reason: string };

/** Why a link is down when another of its name came while it still seemed up. */
export const REPLACED = "replaced by a new connection";

/** More than a fleet can close between a question and its answer. */
const REMEMBERED_CLOSED = 10_000;

/**
 * Which links are up, from three reports that come in any order: a connection was made, one was closed, and from
 * time to time the list of all. Numbers of connections only grow, so a list that was made before a connection closed
 * or after one was made cannot mislead.
 */
export class LinkTable {
  readonly #up = new Map<number, Link>();
  readonly #closed = new Set<number>();

  get links(): Link[] {
    return [...this.#up.values()];
  }

  has(cid: number): boolean {
    return this.#up.has(cid);
  }

  /** Taken before the list is asked for, and handed in with it. */
  known(): ReadonlySet<number> {
    return new Set(this.#up.keys());
  }

  connected(link: Link, atMs: number): LinkChange[] {
    if (this.#up.has(link.cid) || this.#closed.has(link.cid)) return [];
    const sameName = [...this.#up.values()].filter((other) => other.name === link.name);
    if (sameName.some((other) => other.cid > link.cid)) {
      // From a list made earlier: a server keeps one link of a name, and the newer is here already.
      this.#remember(link.cid);
      return [];
    }
    // One that is still here under this name is dead and not yet noticed; who reads over it must hear of it.
    const changes = sameName.flatMap((other) => this.disconnected(other.cid, atMs, REPLACED));
    this.#up.set(link.cid, link);
    return [...changes, { kind: "up", link, atMs }];
  }

  disconnected(cid: number, atMs: number, reason: string): LinkChange[] {
    this.#remember(cid);
    const link = this.#up.get(cid);
    if (!link) return [];
    this.#up.delete(cid);
    return [{ kind: "down", link, atMs, reason }];
  }

  /** The server's list of all its links, asked for when `known` were up. */
  listed(links: readonly Link[], known: ReadonlySet<number>, atMs: number): LinkChange[] {
    const present = new Set(links.map((link) => link.cid));
    const gone = [...known]
      .filter((cid) => !present.has(cid))
      .flatMap((cid) => this.disconnected(cid, atMs, "no longer listed by the server"));
    const come = links.flatMap((link) => {
      const have = this.#up.get(link.cid);
      if (!have) return this.connected(link, atMs);
      this.#up.set(link.cid, { ...have, rttMs: link.rttMs ?? have.rttMs });
      return [];
    });
    return [...gone, ...come];
  }

  /** The server itself is gone or another one: its numbers begin anew. */
  serverGone(atMs: number, reason: string): LinkChange[] {
    const changes = [...this.#up.keys()].flatMap((cid) => this.disconnected(cid, atMs, reason));
    this.#closed.clear();
    return changes;
  }

  #remember(cid: number): void {
    this.#closed.add(cid);
    if (this.#closed.size <= REMEMBERED_CLOSED) return;
    const [oldest] = this.#closed;
    if (oldest !== undefined) this.#closed.delete(oldest);
  }
}
