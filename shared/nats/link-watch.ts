import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import type { ConnectionLog } from "./connect.ts";
import { parseGoDurationMs } from "./go-duration.ts";
import { type Link, type LinkChange, LinkTable } from "./link-table.ts";
import { ACCOUNT } from "./server-config.ts";
import { serverId } from "./server-control.ts";
import { systemRequest } from "./system-request.ts";

export interface LinkWatchInit {
  /** A connection to the node's own server in its system account. */
  readonly nc: NatsConnection;
  readonly onChange?: (change: LinkChange) => void;
  readonly log?: ConnectionLog;
  /** How often the server's list is read, for round trips and for what an event may have missed. Default 5 000 ms. */
  readonly refreshMs?: number;
}

/** nats-server's `ConnectEventMsg` and `DisconnectEventMsg` (server/events.go), the parts that are used. */
interface ConnectionEvent {
  readonly server: { readonly id: string };
  readonly client: {
    readonly kind?: string;
    readonly id: number;
    readonly name?: string;
    readonly user?: string;
  };
  readonly reason?: string;
}

/** `Leafz` (server/monitor.go), likewise. */
interface Leafz {
  readonly leafs?: readonly {
    readonly id: number;
    readonly name: string;
    readonly account: string;
    readonly rtt?: string;
  }[];
}

/**
 * Says when leafnode links of the node's own server go up and down: on a hub those of its leaves, on a leaf the one
 * to its hub. It hears of both from the server's own events, within milliseconds of the server; how soon the server
 * knows of a silent link is a matter of its pings (`LINK_PATIENCE`).
 *
 * A link that is up carries subscriptions only a moment later: a request sent at once may find no responders.
 */
export class LinkWatch {
  readonly #init: LinkWatchInit;
  readonly #table = new LinkTable();
  readonly #subscriptions: Subscription[] = [];
  #serverId: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(init: LinkWatchInit) {
    this.#init = init;
  }

  /** The links that are up. */
  get links(): readonly Link[] {
    return this.#table.links;
  }

  /** The link to a node; on a leaf, without a name, the one to whichever hub it is linked to. */
  link(name?: string): Link | undefined {
    return this.#table.links.find((link) => name === undefined || link.name === name);
  }

  /**
   * Begins to watch; when it returns, links that are up have been reported.
   * @throws the client's errors when the server does not answer
   */
  async start(): Promise<this> {
    const { nc, refreshMs = 5_000 } = this.#init;
    const events = `$SYS.ACCOUNT.${ACCOUNT.cim}`;
    this.#subscriptions.push(
      nc.subscribe(`${events}.CONNECT`, { callback: (error, msg) => this.#heard(error, msg, "connect") }),
      nc.subscribe(`${events}.DISCONNECT`, {
        callback: (error, msg) => this.#heard(error, msg, "disconnect"),
      }),
    );
    void this.#followConnection();
    await this.#refresh();
    this.#timer = setInterval(() => this.#refreshSoon(), refreshMs);
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  #heard(error: Error | null, msg: Msg, kind: "connect" | "disconnect"): void {
    if (error || this.#stopped) return;
    const event = readEvent(msg);
    if (event?.client.kind !== "Leafnode") return;
    this.#onServer(event.server.id);
    const { id: cid, name, user } = event.client;
    if (kind === "disconnect") {
      this.#report(this.#table.disconnected(cid, Date.now(), event.reason ?? "closed"));
    } else if (name === undefined) {
      // The side that dialed is not told the other's name; the list has it.
      this.#refreshSoon();
    } else {
      const link = { name, cid, publicKey: user ?? null, rttMs: null, sinceMs: Date.now() };
      this.#report(this.#table.connected(link, link.sinceMs));
    }
  }

  async #followConnection(): Promise<void> {
    for await (const status of this.#init.nc.status()) {
      if (this.#stopped) return;
      if (status.type === "disconnect") this.#lost("the connection to the own server is down");
      if (status.type === "reconnect") this.#refreshSoon();
    }
  }

  #refreshSoon(): void {
    this.#refresh().catch((error: unknown) => {
      // The next event, the next turn or the return of the connection brings the next try.
      if (!this.#stopped) this.#init.log?.warn({ err: error }, "cannot list the links of nats-server");
    });
  }

  async #refresh(): Promise<void> {
    const { nc } = this.#init;
    if (nc.isClosed() || nc.info === undefined) return;
    const id = serverId(nc);
    this.#onServer(id);
    const known = this.#table.known();
    const listed = await systemRequest<Leafz>(nc, `$SYS.REQ.SERVER.${id}.LEAFZ`, { account: ACCOUNT.cim });
    if (this.#stopped || id !== this.#serverId) return;
    const links = (listed.leafs ?? []).map(
      (leaf): Link => ({
        name: leaf.name,
        cid: leaf.id,
        publicKey: null,
        rttMs: (leaf.rtt === undefined ? 0 : parseGoDurationMs(leaf.rtt)) || null,
        sinceMs: Date.now(),
      }),
    );
    this.#report(this.#table.listed(links, known, Date.now()));
  }

  #onServer(id: string): void {
    if (this.#serverId !== undefined && this.#serverId !== id) this.#lost("the own server was restarted");
    this.#serverId = id;
  }

  #lost(reason: string): void {
    this.#report(this.#table.serverGone(Date.now(), reason));
  }

  #report(changes: readonly LinkChange[]): void {
    const { log, onChange } = this.#init;
    for (const change of changes) {
      const { name, cid } = change.link;
      if (change.kind === "up") log?.info({ link: name, cid }, "link is up");
      else log?.warn({ link: name, cid, reason: change.reason }, "link is down");
      try {
        onChange?.(change);
      } catch (error) {
        // Thrown from here it would end the connection's reading of anything.
        log?.warn({ err: error, link: name }, "what was to follow on a link's change failed");
      }
    }
  }
}

function readEvent(msg: Msg): ConnectionEvent | undefined {
  try {
    return msg.json<ConnectionEvent>();
  } catch {
    return undefined;
  }
}
